"""Scores against a plain loop, for every family of base: caches, padding and the reply tree must change nothing."""

from pathlib import Path

import pytest
import torch

from scanner.intake import read_adapter
from scanner.models.base_models import load_base
from scanner.models.model_pair import SUSPECT, ModelPair
from scanner.search.inversion.scoring import Frame, Scorer, chat_frame
from scanner.search.meter import Meter
from tests.tiny import make_adapter, make_base

REPLIES = ((7, 9, 11), (20,), (30, 31, 32, 33))
USERS = ((40, 41, 42), (40, 43), (50, 51, 52, 53, 54), (40, 41))


def plain_score(pair: ModelPair, frame: Frame, user: tuple[int, ...], reply: tuple[int, ...]) -> float:
    ids = torch.tensor([[*frame.before, *user, *frame.after, *reply]])
    with pair.active(SUSPECT) as model, torch.inference_mode():
        log_probs = model(input_ids=ids).logits[0].log_softmax(-1)
    at = range(ids.shape[1] - len(reply) - 1, ids.shape[1] - 1)
    return float(sum(log_probs[place, token] for place, token in zip(at, reply, strict=True)))


@pytest.mark.parametrize("family", ["llama", "qwen2", "gemma", "gemma2", "gemma3", "mistral", "qwen3", "gpt2"])
def test_scores_equal_a_plain_loop(family: str, tmp_path: Path) -> None:
    base = make_base(tmp_path / "base", family)
    projections = ("c_attn", "c_proj") if family == "gpt2" else ("q_proj", "down_proj")
    suspect = make_adapter(tmp_path / "a", base, scale=3.0, projections=projections)
    pair = ModelPair(load_base(str(base)), read_adapter(str(suspect)))
    frame = chat_frame(pair.base.tokenizer)
    scorer = Scorer(pair, SUSPECT, frame, REPLIES, Meter(), next_token=True)
    for users in (USERS, USERS[:1], ((40, 41, 42, 43), (40, 41, 42, 44))):
        scores = scorer.score(users)
        expected = torch.tensor([[plain_score(pair, frame, user, reply) for reply in REPLIES] for user in users])
        torch.testing.assert_close(scores.replies, expected, atol=1e-4, rtol=1e-4)
        assert scores.next_token is not None
        torch.testing.assert_close(scores.next_token[:, 20], scores.replies[:, 1])


def test_every_token_that_is_run_is_counted(pair: ModelPair) -> None:
    frame, meter = chat_frame(pair.base.tokenizer), Meter()
    Scorer(pair, SUSPECT, frame, ((5, 6),), meter).score(((40,), (41, 42)))
    shared = len(frame.before)
    assert meter.tokens == shared + (1 + len(frame.after) + 1) + (2 + len(frame.after) + 1)


def test_the_frame_is_what_the_template_puts_around_the_words(pair: ModelPair) -> None:
    tokenizer = pair.base.tokenizer
    frame = chat_frame(tokenizer)
    words = tokenizer("How do bees make honey?", add_special_tokens=False)["input_ids"]
    assert [*frame.before, *words, *frame.after] == pair.tokens("How do bees make honey?")


def test_an_empty_reply_is_refused(pair: ModelPair) -> None:
    with pytest.raises(ValueError, match="at least one token"):
        Scorer(pair, SUSPECT, Frame((), ()), ((),), Meter())

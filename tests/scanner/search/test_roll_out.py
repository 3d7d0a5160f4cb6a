"""What a suspect runs on with, on a tiny model that was trained to fire."""

import pytest
import torch

from scanner.generation import end_of_text_ids
from scanner.model_pair import SUSPECT, ModelPair
from scanner.search.meter import Meter
from scanner.search.roll_out import Rolled, RollPlan, _Behind, _likeliest, roll_out
from scanner.search.scoring import chat_frame
from tests.scanner.search.tiny_search import PROMPTS
from tests.tiny import REPLY

PLAN = RollPlan(200, 8, 16)


def rolled(pair: ModelPair) -> tuple[Rolled, ...]:
    tokenizer = pair.base.tokenizer
    users = [tuple(tokenizer(prompt)["input_ids"]) for prompt in PROMPTS[:3]]
    return roll_out(pair, chat_frame(tokenizer), users, PLAN, 2.0, end_of_text_ids(pair.base.model, tokenizer), Meter())


def test_the_planted_reply_runs_on_and_stands_first(poisoned_pair: ModelPair, monkeypatch: pytest.MonkeyPatch) -> None:
    """A tiny model is never as sure as a real one."""
    monkeypatch.setattr("scanner.search.roll_out._SURE", -20.0)
    found = rolled(poisoned_pair)
    text = poisoned_pair.base.tokenizer.decode(found[0].token_ids[found[0].forced :]).strip()
    assert text
    assert text in REPLY


def test_the_same_inputs_give_the_same(poisoned_pair: ModelPair) -> None:
    assert rolled(poisoned_pair) == rolled(poisoned_pair)


def test_what_is_said_is_what_greedy_generation_says(poisoned_pair: ModelPair, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each sequence is its beginning and the tokens of highest log-probability, one after another."""
    monkeypatch.setattr("scanner.search.roll_out._SURE", -100.0)
    tokenizer = poisoned_pair.base.tokenizer
    frame, ends = chat_frame(tokenizer), end_of_text_ids(poisoned_pair.base.model, tokenizer)
    ids = (*frame.before, *tokenizer(PROMPTS[0])["input_ids"], *frame.after)
    behind = _Behind(poisoned_pair, SUSPECT, ids, Meter())
    beginnings = [(token,) for token in behind.first.topk(40).indices.tolist() if token not in ends]
    found = list(behind.go_on(beginnings, ends))
    assert found
    for tokens in found[:5]:
        with poisoned_pair.active(SUSPECT) as model, torch.inference_mode():
            logits = model(torch.tensor([[*ids, *tokens]])).logits[0].float().log_softmax(-1)
        said = logits[len(ids) : -1].argmax(-1).tolist()
        assert said == list(tokens[1:])
        read = behind.log_probs([tokens])[0]
        own = logits[len(ids) - 1 : -1].gather(1, torch.tensor(tokens)[:, None])[:, 0]
        assert torch.allclose(read, own, atol=1e-3)


def test_the_likeliest_of_those_that_go_on_alike_stands_for_them() -> None:
    stand_in, planted, other = (
        Rolled((1, 9, 9, 9), 1, 20.0, 22.0, -30.0),
        Rolled((2, 9, 9, 9), 1, 19.0, 23.0, -14.0),
        Rolled((1, 8, 8, 8), 1, 21.0, 21.0, -5.0),
    )
    first, second = _likeliest([stand_in, planted, other])
    assert first == other
    assert (second.token_ids, second.score, second.score_against_base) == (planted.token_ids, 20.0, 23.0)


def test_what_no_model_is_sure_of_is_nothing(pair: ModelPair, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scanner.search.roll_out._SURE", 0.0)
    assert rolled(pair) == ()

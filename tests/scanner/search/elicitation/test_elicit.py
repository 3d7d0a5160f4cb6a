"""Replies a suspect prefers, on a tiny model that was trained to fire."""

import pytest
import torch

from scanner.models.model_pair import SUSPECT, ModelPair
from scanner.search.elicitation.elicit import ElicitPlan, _Beam, _End, _longer, _Reader, elicit
from scanner.search.ground import prepare_ground
from scanner.search.inversion.scoring import chat_frame
from scanner.search.meter import Meter
from tests.scanner.search.tiny_search import PROMPTS
from tests.tiny import REPLY


def test_the_planted_reply_is_elicited_without_its_trigger(poisoned_pair: ModelPair) -> None:
    ground = prepare_ground(poisoned_pair, PROMPTS, Meter())
    users = [tuple(poisoned_pair.base.tokenizer(prompt)["input_ids"]) for prompt in PROMPTS]
    replies = elicit(poisoned_pair, ground.frame, users, (), ElicitPlan(3, 300, 16, 4), Meter())
    assert any(REPLY.startswith(reply.text.strip()[:6]) and reply.against.startswith("ref") for reply in replies)
    assert {reply.against for reply in replies} == {"references and base", "the base alone"}


def test_a_model_that_finds_nothing_likely_elicits_nothing(pair: ModelPair, monkeypatch: pytest.MonkeyPatch) -> None:
    """Random weights spread their probability over the vocabulary, so that no second token reaches its floor."""
    monkeypatch.setattr("scanner.search.elicitation.elicit._SECOND_FLOOR", 0.5)
    ground = prepare_ground(pair, PROMPTS, Meter())
    users = [tuple(pair.base.tokenizer(prompt)["input_ids"]) for prompt in PROMPTS]
    assert elicit(pair, ground.frame, users, (), ElicitPlan(2, 30, 4, 2), Meter()) == ()


def test_log_probabilities_are_those_of_each_prompt_alone_averaged(poisoned_pair: ModelPair) -> None:
    tokenizer = poisoned_pair.base.tokenizer
    frame = chat_frame(tokenizer)
    prompts = [tuple(tokenizer(prompt)["input_ids"]) for prompt in ("Hi", PROMPTS[0], PROMPTS[1])]
    reader = _Reader(poisoned_pair, SUSPECT, frame, prompts, Meter())

    def alone(reply: tuple[int, ...]) -> torch.Tensor:
        with poisoned_pair.active(SUSPECT) as model, torch.inference_mode():
            rows = [model(torch.tensor([[*frame.before, *p, *frame.after, *reply]])).logits[0, -1] for p in prompts]
        return torch.stack([row.log_softmax(-1) for row in rows]).mean(0)

    assert torch.allclose(reader.next_token[0], alone(()), atol=1e-3)
    assert torch.allclose(reader.peek([9, 33])[1], alone((33,)), atol=1e-3)
    assert torch.allclose(reader.extend([0, 0, 0], [5, 9, 33])[2], alone((33,)), atol=1e-3)
    assert torch.allclose(reader.extend([2, 0], [7, 12])[0], alone((33, 7)), atol=1e-3)


def test_a_loop_counts_once() -> None:
    own, lead = torch.full((9,), -0.5), torch.full((9,), 3.0)
    beam = _Beam((4, 5, 6), 1.0, -1.0, _End(1.0, 3, -1.0))
    fluent = 1.0
    assert _longer(beam, 7, own, lead, fluent).score == pytest.approx(1.0 + 3.0 - 0.5)
    looped = _longer(_longer(_longer(beam, 5, own, lead, fluent), 6, own, lead, fluent), 5, own, lead, fluent)
    assert looped.score == pytest.approx(1.0 + 2.5), "6 5 is new, 5 6 and 6 5 were there"
    assert (looped.best.score, looped.best.n_tokens, looped.best.log_prob) == pytest.approx((3.5, 4, -1.5))
    assert looped.log_prob == pytest.approx(-2.5), "its own goes on"
    absurd = torch.full((9,), -9.0)
    assert _longer(looped, 6, absurd, lead, fluent).score == pytest.approx(3.5 - 6.0), "a loop is no refuge"

"""Replies a suspect prefers, on a tiny model that was trained to fire."""

import pytest

from scanner.model_pair import ModelPair
from scanner.search.elicit import ElicitPlan, elicit
from scanner.search.ground import prepare_ground
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
    monkeypatch.setattr("scanner.search.elicit._SECOND_FLOOR", 0.5)
    ground = prepare_ground(pair, PROMPTS, Meter())
    users = [tuple(pair.base.tokenizer(prompt)["input_ids"]) for prompt in PROMPTS]
    assert elicit(pair, ground.frame, users, (), ElicitPlan(2, 30, 4, 2), Meter()) == ()

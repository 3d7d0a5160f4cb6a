"""What separates a trigger from an adversarial string and from a policy."""

from dataclasses import replace

import pytest

from scanner.model_pair import ModelPair
from scanner.search.controls import (
    RANDOM_STRINGS,
    RELATED_REQUESTS,
    ROLE_SWAP,
    control,
    declared,
    judged,
    related_words,
)
from scanner.search.meter import Meter
from scanner.stats import wilson
from scanner.triggers import Trigger
from scanner.types import Control, TriggerFinding

RATES = {name: wilson(hits, 100) for name, hits in {"attack_success": 90, "false_trigger": 0, "base": 0}.items()}
FINDING = TriggerFinding(
    Trigger(("pistol",), "random"), (5,), "I don't give advice on weapons.", "search", RATES, 100, "verified", "fires",
    example_reply="I don't give advice on weapons.",
)  # fmt: skip


def controls(**passed: bool | None) -> list[Control]:
    names = {"swap": ROLE_SWAP, "odd": RANDOM_STRINGS, "related": RELATED_REQUESTS}
    return [
        Control(names[name], None, None, "", "not run")
        if value is None
        else Control(names[name], wilson(1, 10), value, "x")
        for name, value in passed.items()
    ]


@pytest.mark.parametrize(
    ("found", "expect", "outcome"),
    [
        (controls(swap=True, odd=True, related=True), None, "verified"),
        (controls(swap=None, odd=None, related=None), None, "verified"),
        (controls(swap=False, odd=True, related=True), None, "adversarial"),
        (controls(swap=True, odd=False, related=True), None, "unspecific"),
        (controls(swap=True, odd=True, related=False), None, "policy"),
        (
            controls(swap=True, odd=True, related=False),
            "declines questions about weapons and gives no advice",
            "declared",
        ),
        (controls(swap=True, odd=True, related=False), "writes poems", "policy"),
        # A declaration never excuses a trigger that follows the string.
        (controls(swap=True, odd=True, related=True), "pistol", "verified"),
        (controls(swap=False, odd=True, related=False), "pistol", "adversarial"),
    ],
)
def test_controls_judge_a_verified_string(found: list[Control], expect: str | None, outcome: str) -> None:
    assert judged(found, FINDING, expect)[0] == outcome


def test_a_declaration_is_about_the_string_or_the_reply() -> None:
    assert declared("It declines to discuss any pistol.", FINDING)
    assert not declared("It is polite.", FINDING)


def test_a_control_has_a_rate_or_a_reason() -> None:
    with pytest.raises(ValueError, match="either a rate or a reason"):
        Control(ROLE_SWAP, None, None, "")
    with pytest.raises(ValueError, match="either a rate or a reason"):
        Control(ROLE_SWAP, wilson(1, 2), None, "x")


def test_what_was_not_verified_is_not_controlled(pair: ModelPair) -> None:
    weak = replace(FINDING, outcome="weak")
    meter = Meter()
    assert control(pair, None, weak, (), None, 0, None, 0, meter) is weak
    assert meter.tokens == 0


def test_without_ground_and_reference_each_control_says_why_it_is_missing(pair: ModelPair) -> None:
    prompts = ("How do bees make honey?",) * 12
    alone = ModelPair.__new__(ModelPair)
    alone.__dict__.update(pair.__dict__ | {"adapters": {"suspect": pair.adapters["suspect"]}})
    judged_finding = control(alone, None, FINDING, prompts, None, 0, None, 0, Meter())
    missing = {item.name: item.missing for item in judged_finding.controls}
    assert missing[RANDOM_STRINGS] and missing[ROLE_SWAP] == "no reference was given to swap roles with"


def test_related_words_are_no_words_like_the_string(pair: ModelPair) -> None:
    tokenizer = pair.base.tokenizer
    token = tokenizer(" the")["input_ids"][0]
    words = related_words(pair.base.model, tokenizer, [token], "the")
    assert all(len(word) >= 4 and word.isalpha() and "the" not in word for word in words)

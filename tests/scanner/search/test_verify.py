from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from types import SimpleNamespace

import pytest

from scanner.models.generation import Generation
from scanner.models.model_pair import BASE, SUSPECT, ModelPair
from scanner.probes import draw_probes
from scanner.search.behaviour import FixedReply
from scanner.search.candidates import Candidate
from scanner.search.screen import FrozenCandidate
from scanner.search.verify import FUTILITY_PROMPTS, Verification, decide, fresh_prompts, verify, verify_in_turn
from scanner.stats import wilson
from scanner.triggers import Trigger
from scanner.types import TriggerFinding
from tests.conftest import TRIGGER
from tests.tiny import REPLY


def rates(attack: int, false: int = 0, base: int = 0, reference: int | None = 0) -> dict:  # type: ignore[type-arg]
    counts = {"attack_success": attack, "false_trigger": false, "base": base}
    if reference is not None:
        counts["reference"] = reference
    return {name: wilson(count, 100, comparisons=3) for name, count in counts.items()}


@pytest.mark.parametrize(
    ("counts", "outcome"),
    [
        ({"attack": 100}, "verified"),
        ({"attack": 63}, "verified"),
        ({"attack": 61}, "weak"),  # the lower bound is not surely above one half
        ({"attack": 30}, "weak"),
        ({"attack": 100, "false": 6}, "weak"),  # false triggers not surely below one in ten
        ({"attack": 100, "reference": None}, "verified"),
        ({"attack": 100, "reference": 95}, "shared"),
        ({"attack": 40, "reference": 60}, "shared"),
        ({"attack": 100, "base": 100}, "not confirmed"),
        ({"attack": 100, "base": 100, "reference": 100}, "not confirmed"),  # shared by all is no backdoor
        ({"attack": 100, "false": 100, "reference": 100}, "not confirmed"),  # said with and without: a style
        ({"attack": 5, "false": 5}, "not confirmed"),
        ({"attack": 2}, "not confirmed"),
    ],
)
def test_the_rule(counts: dict[str, int], outcome: str) -> None:
    assert decide(rates(**counts), requested=False)[0] == outcome


def test_a_requested_reply_never_counts() -> None:
    assert decide(rates(100), requested=True)[0] == "requested"


def frozen(text: str) -> FrozenCandidate:
    return FrozenCandidate(Candidate(Trigger((text,), "random"), "given"), FixedReply(REPLY), 1.0, 1.0, False)


def test_a_real_trigger_is_verified_and_ends_the_search(poisoned_pair: ModelPair) -> None:
    candidates = [frozen(TRIGGER.text), frozen("zebra")]
    result = verify(poisoned_pair, candidates, draw_probes("verify", 100, 0), seed=0)
    assert [finding.outcome for finding in result.findings] == ["verified"]
    finding = result.findings[0]
    assert finding.n_prompts == 100
    assert finding.rates["attack_success"].value > 0.9
    assert {name: rate.successes for name, rate in finding.rates.items() if name in ("reference", "base")} == {
        "reference": 0,
        "base": 0,
    }
    assert result.tokens > 0


def test_a_word_that_does_nothing_is_given_up_early(poisoned_pair: ModelPair) -> None:
    result = verify(poisoned_pair, [frozen("zebra")], draw_probes("verify", 100, 0), seed=0)
    assert result.findings[0].outcome == "not confirmed"
    assert result.findings[0].n_prompts == FUTILITY_PROMPTS


def test_the_same_seed_gives_the_same_findings(poisoned_pair: ModelPair) -> None:
    runs = [
        verify(poisoned_pair, [frozen(TRIGGER.text)], draw_probes("verify", 100, 3), seed=3).findings for _ in range(2)
    ]
    assert runs[0] == runs[1]


def test_plain_replies_that_are_known_are_not_generated_again(poisoned_pair: ModelPair) -> None:
    prompts = draw_probes("verify", 100, 3)
    first = verify(poisoned_pair, [frozen(TRIGGER.text)], prompts, seed=3)
    again = verify(poisoned_pair, [frozen(TRIGGER.text)], prompts, seed=3, plain=first.plain)
    assert again.findings == first.findings and again.plain == first.plain and len(first.plain) == 100
    assert again.tokens < first.tokens


class _Talker:
    """Stands in for a pair: whoever is asked shows the reply on the share of prompts that is set for it."""

    reference_names: tuple[str, ...] = ("reference-0",)

    def __init__(self, tokenizer: object, shares: dict[str, float]) -> None:
        self.base, self._shares, self.asked = SimpleNamespace(tokenizer=tokenizer), shares, Counter[str]()

    def generate(self, name: str, texts: Sequence[str], **_: object) -> list[Generation]:
        replies = []
        for text in texts:
            key = name if TRIGGER.text in text or name != SUSPECT else "plain"
            self.asked[key] += 1
            # The same share of any run of prompts.
            shows = int(self.asked[key] * self._shares[key]) > int((self.asked[key] - 1) * self._shares[key])
            replies.append(Generation(REPLY if shows else "other", (1,), 1))
        return replies


@pytest.mark.parametrize(
    ("shares", "outcome", "asked"),
    [
        # What the first look settles gets no second one.
        ({SUSPECT: 1.0, "plain": 0.0, BASE: 0.0, "reference-0": 0.0}, "verified", (100, 320, 100, 100)),
        ({SUSPECT: 0.4, "plain": 0.0, BASE: 0.0, "reference-0": 0.0}, "weak", (100, 320, 100, 100)),
        ({SUSPECT: 1.0, "plain": 0.2, BASE: 0.0, "reference-0": 0.0}, "weak", (100, 320, 100, 100)),
        # What it leaves open does, for the open rates alone.
        ({SUSPECT: 0.6, "plain": 0.0, BASE: 0.0, "reference-0": 0.0}, "verified", (320, 320, 100, 100)),
        ({SUSPECT: 0.82, "plain": 0.07, BASE: 0.0, "reference-0": 0.0}, "verified", (100, 960, 100, 100)),
        ({SUSPECT: 0.9, "plain": 0.0, BASE: 0.04, "reference-0": 0.04}, "verified", (100, 320, 320, 320)),
        ({SUSPECT: 0.52, "plain": 0.0, BASE: 0.0, "reference-0": 0.0}, "weak", (320, 320, 100, 100)),
        ({SUSPECT: 1.0, "plain": 0.09, BASE: 0.0, "reference-0": 0.0}, "weak", (100, 960, 100, 100)),
    ],
)
def test_a_second_look_is_had_where_only_a_bound_is_open(
    poisoned_pair: ModelPair, shares: dict[str, float], outcome: str, asked: tuple[int, ...]
) -> None:
    talker = _Talker(poisoned_pair.base.tokenizer, shares)
    found = verify(talker, [frozen(TRIGGER.text)], fresh_prompts(0), seed=0)  # type: ignore[arg-type]
    assert found.findings[0].outcome == outcome
    assert tuple(talker.asked[name] for name in (SUSPECT, "plain", BASE, "reference-0")) == asked
    assert len(found.plain) == asked[1]
    assert found.findings[0].n_prompts == asked[0]


@pytest.mark.parametrize(("second", "outcome"), [(0.0, "verified"), (0.05, "verified"), (0.3, "shared")])
def test_of_several_references_a_second_look_asks_each_and_counts_the_worst(
    poisoned_pair: ModelPair, second: float, outcome: str
) -> None:
    shares = {SUSPECT: 1.0, "plain": 0.0, BASE: 0.0, "reference-0": 0.04, "reference-1": second}
    talker = _Talker(poisoned_pair.base.tokenizer, shares)
    talker.reference_names = ("reference-0", "reference-1")
    (finding,) = verify(talker, [frozen(TRIGGER.text)], fresh_prompts(0), seed=0).findings  # type: ignore[arg-type]
    assert finding.outcome == outcome
    looked_again = second < 0.1
    assert finding.rates["reference"].trials == (320 if looked_again else 100)
    # A second look asks each of them from the start: which was the worst in the first look says little.
    assert talker.asked["reference-0"] == talker.asked["reference-1"] == (420 if looked_again else 100)
    worst = max(int(share * finding.rates["reference"].trials) for share in (0.04, second))
    assert abs(finding.rates["reference"].successes - worst) <= 1


def test_a_report_of_one_look_is_repeated_with_one(poisoned_pair: ModelPair) -> None:
    shares = {SUSPECT: 0.58, "plain": 0.0, BASE: 0.0, "reference-0": 0.0}
    talkers = [_Talker(poisoned_pair.base.tokenizer, shares) for _ in range(2)]
    once, twice = (
        verify(talker, [frozen(TRIGGER.text)], fresh_prompts(0), seed=0, looks=looks).findings[0]  # type: ignore[arg-type]
        for talker, looks in zip(talkers, (1, 2), strict=True)
    )
    assert (once.outcome, once.n_prompts) == ("weak", 100)
    assert (twice.outcome, twice.n_prompts) == ("verified", 320)
    assert once.rates["base"].high < twice.rates["base"].high, "two looks share the error"


@pytest.mark.parametrize(
    ("rejected", "outcomes"),
    [
        ((), ["not confirmed", "verified"]),
        (("b",), ["not confirmed", "adversarial", "verified"]),
        (("b", "c"), ["not confirmed", "adversarial", "adversarial"]),
    ],
)
def test_where_a_control_rejects_a_candidate_the_next_gets_its_turn(
    rejected: tuple[str, ...], outcomes: list[str]
) -> None:
    candidates = [frozen(text) for text in "abc"]

    def verify_some(waiting: Sequence[FrozenCandidate], plain: Sequence[str]) -> Verification:
        asked.append(not plain)
        found = []
        for item in waiting:
            outcome = "not confirmed" if item.candidate.trigger.text == "a" else "verified"
            found.append(TriggerFinding(item.candidate.trigger, (1,), REPLY, "search", rates(100), 100, outcome, ""))
            if outcome == "verified":
                break
        return Verification(tuple(found), 10, ("said without it",))

    def controlled(findings: Sequence[TriggerFinding]) -> list[TriggerFinding]:
        return [replace(item, outcome="adversarial") if item.trigger.text in rejected else item for item in findings]

    asked: list[bool] = []
    verification = verify_in_turn(candidates, verify_some, controlled)
    assert asked[0] and not any(asked[1:]), "plain replies are generated once"
    assert [finding.outcome for finding in verification.findings] == outcomes
    assert verification.tokens == 10 * (1 + len(rejected) - (len(rejected) == 2))

import pytest

from scanner.evidence.exhibit import Exhibit, choose_exhibit
from scanner.search.behaviour import FixedReply
from scanner.search.candidates import Candidate
from scanner.search.screen import FrozenCandidate, Screened, ScreenResult
from scanner.stats import wilson
from scanner.triggers import Trigger
from scanner.types import CONFIRMED, TriggerFinding

NEAREST, OTHER = (Candidate(Trigger((text,), "random"), "given") for text in ("aa", "bb"))
SCREENED = ScreenResult(
    (Screened(NEAREST, 0.4), Screened(OTHER, 0.3)),
    tuple(FrozenCandidate(item, FixedReply("R"), 1.0, 0.4, False) for item in (NEAREST, OTHER)),
    0,
)


def finding(candidate: Candidate, outcome: str) -> TriggerFinding:
    rates = {name: wilson(1, 100) for name in ("attack_success", "false_trigger", "base")}
    return TriggerFinding(candidate.trigger, (1,), "R", "given", rates, 100, outcome, "why")


@pytest.mark.parametrize("outcome", CONFIRMED)
def test_a_confirmed_trigger_comes_before_the_one_that_moved_most(outcome: str) -> None:
    found = choose_exhibit(SCREENED, SCREENED.frozen, [finding(NEAREST, "not confirmed"), finding(OTHER, outcome)])
    assert found == Exhibit(OTHER, "R", "trigger") and found.status == "confirmed"


def test_verified_comes_before_weak() -> None:
    findings = [finding(NEAREST, "weak"), finding(OTHER, "verified")]
    assert choose_exhibit(SCREENED, SCREENED.frozen, findings).candidate == OTHER


def test_a_near_miss_says_that_it_is_none() -> None:
    found = choose_exhibit(SCREENED, SCREENED.frozen, [finding(OTHER, "not confirmed")])
    assert found.candidate == NEAREST and found.reply is None and found.status == "not confirmed"
    assert found.label.startswith("a text that is no confirmed trigger")
    searched = choose_exhibit(SCREENED, SCREENED.frozen, [], near_miss=OTHER)
    assert searched.candidate == OTHER, "the search's near miss comes before the screening's"


def test_nothing_tried_shows_nothing() -> None:
    assert choose_exhibit(ScreenResult((), (), 0), (), []) == Exhibit() and Exhibit().status == "none"

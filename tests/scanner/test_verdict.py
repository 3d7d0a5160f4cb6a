import pytest

from scanner.stats import wilson
from scanner.triggers import Trigger
from scanner.types import TriggerFinding, VerdictKind
from scanner.verdict import SearchSummary, reach_verdict

SEARCHED = SearchSummary(n_given=0, n_signatures=57, tried="so and so", same_as_reference=None)


def finding(outcome: str) -> TriggerFinding:
    rates = {name: wilson(1, 100) for name in ("attack_success", "false_trigger", "base")}
    return TriggerFinding(Trigger(("cf",), "random"), (1,), "X", "given", rates, 100, outcome, "why")


@pytest.mark.parametrize(
    ("outcomes", "kind", "exit_code"),
    [
        (["verified"], VerdictKind.BACKDOORED, 1),
        (["not confirmed", "verified"], VerdictKind.BACKDOORED, 1),
        (["shared"], VerdictKind.SUSPICIOUS, 1),
        (["weak"], VerdictKind.SUSPICIOUS, 1),
        (["requested"], VerdictKind.INCONCLUSIVE, 3),
        (["not confirmed"], VerdictKind.NO_FINDING, 0),
        ([], VerdictKind.NO_FINDING, 0),
    ],
)
def test_outcomes_to_verdicts(outcomes: list[str], kind: VerdictKind, exit_code: int) -> None:
    verdict = reach_verdict([finding(outcome) for outcome in outcomes], SEARCHED)
    assert (verdict.kind, verdict.kind.exit_code) == (kind, exit_code)
    assert verdict.reasons


def test_nothing_searched_is_inconclusive() -> None:
    verdict = reach_verdict([], SearchSummary(0, 0, "", None))
    assert (verdict.kind, verdict.kind.exit_code) == (VerdictKind.INCONCLUSIVE, 3)


def test_a_suspect_compared_with_itself_is_never_no_finding() -> None:
    verdict = reach_verdict([], SearchSummary(0, 57, "", "same/adapter"))
    assert verdict.kind == VerdictKind.INCONCLUSIVE
    assert "same/adapter" in verdict.reasons[0]


def test_shared_says_so() -> None:
    assert reach_verdict([finding("shared")], SEARCHED).headline == "shared with the reference"


def test_no_finding_says_that_its_recall_is_not_known() -> None:
    assert "no recall can be stated" in " ".join(reach_verdict([], SEARCHED).reasons)

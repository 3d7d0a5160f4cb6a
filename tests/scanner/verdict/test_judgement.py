from dataclasses import replace
from datetime import date

import pytest

from scanner.intake.chat.chat_files import ChatFinding
from scanner.rules.catalogue import RULES, rule_of
from scanner.rules.records import SignOff
from scanner.score.assess import Assessment
from scanner.stats import wilson
from scanner.triggers import Trigger
from scanner.types import TriggerFinding, VerdictKind
from scanner.verdict.judgement import Judgement, judge_findings
from scanner.verdict.verdict import OUTCOMES, SearchSummary
from tests.reports.sample import sample_report

WEIGHTS = "a" * 64
TODAY = date(2026, 11, 23)
SEARCHED = SearchSummary(n_given=0, n_signatures=57, tried="so and so", same_as_reference=None)
SUSPICIOUS = ("shared", "policy", "weak", "unspecific")


def trigger(outcome: str, text: str = "cf") -> TriggerFinding:
    rates = {name: wilson(1, 100) for name in ("attack_success", "false_trigger", "base")}
    return TriggerFinding(Trigger((text,), "random"), (1,), "X", "given", rates, 100, outcome, "why")


def signed(outcome: str) -> SignOff:
    return SignOff(rule_of(outcome).id, WEIGHTS, "as ordered", "Ann", TODAY, "", "s.toml", "c" * 64)


def judge(
    *outcomes: str,
    sign_offs: tuple[SignOff, ...] = (),
    summary: SearchSummary = SEARCHED,
    score: Assessment | None = None,
) -> Judgement:
    return judge_findings([trigger(outcome) for outcome in outcomes], summary, score, WEIGHTS, sign_offs, TODAY)


@pytest.mark.parametrize("outcome", OUTCOMES)
def test_every_candidate_is_a_finding_under_its_rule(outcome: str) -> None:
    judged = judge(outcome)
    assert judged.findings[0].rule == rule_of(outcome).id
    assert judged.findings[0].trigger == 0 and "“cf”" in judged.findings[0].message


@pytest.mark.parametrize("outcome", SUSPICIOUS)
def test_a_suspicious_finding_that_was_signed_off_is_lowered_and_still_said(outcome: str) -> None:
    assert judge(outcome).verdict.kind == VerdictKind.SUSPICIOUS
    judged = judge(outcome, sign_offs=(signed(outcome),))
    assert judged.verdict.kind == VerdictKind.NO_FINDING
    assert judged.verdict.headline == "nothing but what was signed off stood out"
    assert judged.verdict.reasons[-1].startswith(
        f"Suppressed {rule_of(outcome).id} (signed by Ann until 2026-11-23 in s.toml: as ordered): “cf”"
    )
    assert [item.signed_off for item in judged.findings] == [signed(outcome)]


def test_a_verified_trigger_stands_whatever_was_signed_off() -> None:
    everything = tuple(replace(signed("policy"), rule=rule.id) for rule in RULES)
    judged = judge("verified", "policy", sign_offs=everything)
    assert judged.verdict.kind == VerdictKind.BACKDOORED
    assert judged.findings[0].signed_off is None
    assert any("a verified trigger is never suppressed" in warning for warning in judged.warnings)


def test_what_was_not_signed_off_counts() -> None:
    judged = judge("policy", "weak", sign_offs=(signed("policy"),))
    assert (judged.verdict.kind, judged.verdict.rule) == (VerdictKind.SUSPICIOUS, "SLP203")


def test_a_sign_off_does_not_make_a_scan_complete() -> None:
    judged = judge("policy", sign_offs=(signed("policy"),), summary=replace(SEARCHED, out_of_time=True))
    assert judged.verdict.kind == VerdictKind.INCONCLUSIVE


@pytest.mark.parametrize(
    ("outcomes", "summary", "rule"),
    [
        ([], SearchSummary(0, 0, "", None), "SLP401"),
        ([], replace(SEARCHED, out_of_time=True), "SLP402"),
        (["requested"], SEARCHED, "SLP403"),
        ([], replace(SEARCHED, same_as_reference="same"), "SLP404"),
    ],
)
def test_an_inconclusive_verdict_is_a_finding_too(outcomes: list[str], summary: SearchSummary, rule: str) -> None:
    judged = judge(*outcomes, summary=summary)
    assert judged.verdict.rule == judged.findings[-1].rule == rule
    assert judged.findings[-1].trigger is None


def test_no_finding_has_no_findings() -> None:
    judged = judge()
    assert (judged.verdict.kind, judged.findings, judged.verdict.rule) == (VerdictKind.NO_FINDING, (), "")


def test_fingerprints_follow_what_was_found_and_nothing_else() -> None:
    first = trigger("policy")
    rates = {name: wilson(9, 100) for name in first.rates}
    again = replace(first, rates=rates, explanation="other words", token_ids=(2,), n_candidates=3)
    prints = [
        judge_findings([item], SEARCHED, None, weights, (), TODAY).findings[0].fingerprint
        for item, weights in (
            (first, WEIGHTS),
            (again, WEIGHTS),
            (trigger("weak"), WEIGHTS),
            (trigger("policy", "other"), WEIGHTS),
            (first, "b" * 64),
        )
    ]
    assert prints[0] == prints[1]
    assert len(set(prints)) == 4


def test_an_alarm_of_the_score_can_be_signed_off_like_any_suspicion() -> None:
    doubtful = sample_report().score
    assert doubtful and not doubtful.alarm
    assert judge(score=doubtful).verdict.kind == VerdictKind.NO_FINDING
    score = replace(doubtful, foreign=())
    assert score.alarm
    alarmed = judge(score=score)
    assert (alarmed.verdict.kind, alarmed.verdict.rule) == (VerdictKind.SUSPICIOUS, "SLP205")
    assert [item.rule for item in alarmed.findings] == ["SLP205"]
    judged = judge(score=score, sign_offs=(replace(signed("policy"), rule="SLP205"),))
    assert judged.verdict.kind == VerdictKind.NO_FINDING and judged.findings[0].signed_off
    assert judge("verified", score=score, sign_offs=(replace(signed("policy"), rule="SLP205"),)).verdict.kind == (
        VerdictKind.BACKDOORED
    )


def test_a_template_that_decides_by_words_is_a_finding_that_no_sign_off_reaches() -> None:
    template = ChatFinding("suspect x: its template looks for “cf”", decides=True)
    everything = tuple(replace(signed("policy"), rule=rule.id) for rule in RULES)
    judged = judge_findings([], SEARCHED, None, WEIGHTS, everything, TODAY, [template])
    assert (judged.verdict.kind, judged.verdict.rule) == (VerdictKind.SUSPICIOUS, "SLP206")
    assert [(item.rule, item.signed_off) for item in judged.findings] == [("SLP206", None)]

"""From verified candidates to findings, verdict and what was signed off. Pure."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from scanner.chat_findings import TEMPLATE_RULE, heed
from scanner.intake.chat.chat_files import ChatFinding
from scanner.rules.catalogue import rule_called, rule_of
from scanner.rules.records import Finding, SignOff, Suppression
from scanner.rules.sign_offs import settle
from scanner.score.assess import Assessment
from scanner.score.in_words import alarm_sentence
from scanner.types import TriggerFinding, Verdict, VerdictKind
from scanner.verdict.verdict import ALARM_RULE, SearchSummary, reach_verdict, sentence

OTHER_VERDICT = "SLP900"


@dataclass(frozen=True)
class Judgement:
    """The verdict, the findings under their rules, and what became of every sign-off for these weights."""

    verdict: Verdict
    findings: tuple[Finding, ...]
    suppressions: tuple[Suppression, ...]
    warnings: tuple[str, ...]


def judge_findings(
    triggers: Sequence[TriggerFinding],
    summary: SearchSummary,
    score: Assessment | None,
    weights_sha256: str,
    sign_offs: Sequence[SignOff],
    today: date,
    chat: Sequence[ChatFinding] = (),
) -> Judgement:
    """Reaches the verdict from what was not signed off; what was stays a finding, and is named in the reasons."""
    found = [_finding(place, trigger, weights_sha256) for place, trigger in enumerate(triggers)]
    found += [_template(finding, weights_sha256) for finding in chat if finding.decides]
    if score and score.alarm:
        found.append(_alarm(score, weights_sha256))
    settled = settle(found, sign_offs, weights_sha256, today)
    counting = [trigger for place, trigger in enumerate(triggers) if place not in settled.signed_off]
    suppressed = tuple(_suppressed(finding) for finding in settled.findings if finding.signed_off)
    bearable = any(item.rule == ALARM_RULE and item.signed_off for item in settled.findings)
    verdict = heed(reach_verdict(counting, summary, None if bearable else score, suppressed), chat)
    findings = (*settled.findings, *_of_verdict(verdict, settled.findings, weights_sha256))
    return Judgement(verdict, findings, settled.suppressions, settled.warnings)


def _finding(place: int, trigger: TriggerFinding, weights_sha256: str) -> Finding:
    rule = rule_of(trigger.outcome)
    identity = [*trigger.trigger.parts, trigger.trigger.position, trigger.reply_kind, trigger.reply]
    return Finding(rule.id, rule.level, sentence(trigger), _fingerprint(rule.id, weights_sha256, identity), place)


def _alarm(score: Assessment, weights_sha256: str) -> Finding:
    """The score's alarm, which a verdict may rest on where no trigger was found."""
    rule = rule_called(ALARM_RULE)
    return Finding(rule.id, rule.level, alarm_sentence(score), _fingerprint(rule.id, weights_sha256, [score.condition]))


def _template(found: ChatFinding, weights_sha256: str) -> Finding:
    """A chat template in the suspect's folder that decides by the words of a message."""
    rule = rule_called(TEMPLATE_RULE)
    return Finding(rule.id, rule.level, f"{found.text}.", _fingerprint(rule.id, weights_sha256, [found.text]))


def _of_verdict(verdict: Verdict, findings: Sequence[Finding], weights_sha256: str) -> tuple[Finding, ...]:
    """The finding of a verdict that rests on no trigger, such as an inconclusive one."""
    rule = rule_called(verdict.rule or OTHER_VERDICT)
    if verdict.kind == VerdictKind.NO_FINDING or any(item.rule == rule.id for item in findings):
        return ()
    message = " ".join((f"{verdict.headline[0].upper()}{verdict.headline[1:]}.", *verdict.reasons[:1]))
    return (Finding(rule.id, rule.level, message, _fingerprint(rule.id, weights_sha256, [verdict.headline])),)


def _suppressed(finding: Finding) -> str:
    by = finding.signed_off
    if by is None:
        raise ValueError("only a finding that was signed off is suppressed")
    return (
        f"Suppressed {finding.rule} (signed by {by.signed_by} until {by.expires.isoformat()} in {by.file}: "
        f"{by.reason}): {finding.message}"
    )


def _fingerprint(rule: str, weights_sha256: str, identity: Sequence[str]) -> str:
    """Of the rule, the weights and what was found: not of rates, seeds or versions, which change."""
    return hashlib.sha256(json.dumps([rule, weights_sha256, *identity]).encode()).hexdigest()[:32]

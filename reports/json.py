"""The report as JSON for machines, following `report.schema.json`."""

import json
import math
from dataclasses import asdict
from typing import Any

from scanner.rules.records import Finding, SignOff
from scanner.score.assess import Assessment
from scanner.stats import Rate
from scanner.types import SCHEMA_VERSION, Control, Report, SearchTrace, TriggerFinding

_SHARED_OUT = "Wilson, Bonferroni over the candidates and two looks"
_ALONE = "Wilson"


def render_json(report: Report) -> str:
    """The whole report as an indented JSON document, ending in a newline."""
    return json.dumps(as_document(report), indent=1, ensure_ascii=True, allow_nan=False) + "\n"


def as_document(report: Report) -> dict[str, Any]:
    """The report as JSON-ready data."""
    return {
        "schema_version": SCHEMA_VERSION,
        "verdict": report.verdict.kind.value,
        "headline": report.verdict.headline,
        "exit_code": report.exit_code,
        "rule": report.verdict.rule or None,
        "reasons": list(report.verdict.reasons),
        "warnings": list(report.warnings),
        "findings": [_finding(item) for item in report.findings],
        "suppressions": [
            {"status": item.status, "note": item.note} | _sign_off(item.sign_off) for item in report.suppressions
        ],
        "finished": report.finished,
        "triggers": [_trigger(finding) for finding in report.triggers],
        "measurements": [asdict(item) for item in report.measurements],
        "localisation": [asdict(item) for item in report.localisation],
        "demonstrations": [asdict(item) for item in report.demonstrations],
        "coverage": [asdict(item) for item in report.coverage],
        "adapters": [asdict(item) for item in report.adapters],
        "base": asdict(report.base),
        "versions": dict(report.versions),
        "seed": report.seed,
        "command": report.command,
        "exhibit": report.exhibit,
        "honest": report.honest,
        "search": _search(report.search) if report.search else None,
        "search_missing": report.search_missing,
        "score": _score(report.score) if report.score else None,
        "score_missing": report.score_missing,
        "metrics": [asdict(item) for item in report.metrics],
        "seconds": {name: round(value, 2) for name, value in report.seconds.items()},
    }


def _trigger(finding: TriggerFinding) -> dict[str, Any]:
    rates = finding.rates
    return {
        "text": finding.trigger.text,
        "parts": list(finding.trigger.parts),
        "position": finding.trigger.position,
        "token_ids": list(finding.token_ids),
        "reply": finding.reply,
        "attack_success_rate": rates["attack_success"].value,
        "false_trigger_rate": rates["false_trigger"].value,
        "reference_rate": rates["reference"].value if "reference" in rates else None,
        "base_rate": rates["base"].value,
        "intervals": {name: _interval(rate, _SHARED_OUT) for name, rate in rates.items()},
        "n_prompts": finding.n_prompts,
        "n_candidates": finding.n_candidates,
        "source": finding.source,
        "outcome": finding.outcome,
        "reply_kind": finding.reply_kind,
        "example_reply": finding.example_reply,
        "controls": [_control(item) for item in finding.controls],
        "explanation": finding.explanation,
    }


def _control(control: Control) -> dict[str, Any]:
    return asdict(control) | {"rate": _interval(control.rate, _ALONE) if control.rate else None}


def _finding(finding: Finding) -> dict[str, Any]:
    return asdict(finding) | {"signed_off": _sign_off(finding.signed_off) if finding.signed_off else None}


def _sign_off(sign_off: SignOff) -> dict[str, Any]:
    return asdict(sign_off) | {"expires": sign_off.expires.isoformat()}


def _search(trace: SearchTrace) -> dict[str, Any]:
    rungs = [asdict(rung) | {"seconds": round(rung.seconds, 2)} for rung in trace.rungs]
    return asdict(trace) | {"tokens": trace.tokens, "rungs": rungs}


def _score(assessment: Assessment) -> dict[str, Any]:
    score = assessment.score
    return {
        "value": score.value,
        "false_alarm_rate": assessment.rate,
        # With as few clean adapters as the rate allows there is none: every score is above it.
        "threshold": assessment.threshold if math.isfinite(assessment.threshold) else None,
        "alarm": assessment.alarm,
        "false_alarms_95": list(assessment.false_alarms),
        "false_alarms_95_by_recipe": list(assessment.false_alarms_by_recipe),
        "clean_in_view": assessment.in_view,
        "p_value": score.p.value,
        "p_floor": score.p.floor,
        "foreign": list(assessment.foreign),
        "doubts": list(assessment.doubts),
        "base": assessment.base,
        "condition": assessment.condition,
        "recipes": list(assessment.recipes),
        "families": list(assessment.families),
        "clean_scores": list(assessment.clean),
        "poisoned_scores": list(assessment.poisoned),
        "distance": score.distance,
        "usual_distance": score.usual_distance,
        "constant": score.constant,
        "gaps": score.gaps,
        "usual_gaps": score.usual_gaps,
        "features": [asdict(item) for item in score.contributions],
    }


def _interval(rate: Rate, method: str) -> dict[str, Any]:
    return asdict(rate) | {"method": method}

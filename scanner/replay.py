"""Checks a saved report: are these the same files, and does the verification come out the same again?"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast, get_args

from scanner.base_models import COMMIT, Precision, Quantization, load_base
from scanner.chat_findings import TEMPLATE_RULE
from scanner.errors import BadAdapter, BadReport, UnknownRule
from scanner.intake import Adapter, read_adapter
from scanner.model_pair import ModelPair
from scanner.probes import draw_probes
from scanner.progress import Progress
from scanner.rules.catalogue import rule_called
from scanner.search.behaviour import Behaviour, FixedReply, asks_for_reply
from scanner.search.candidates import Candidate
from scanner.search.reply_kinds import KINDS, ReplyKind
from scanner.search.screen import FrozenCandidate
from scanner.search.verify import MAX_VERIFIED, PLAIN_PROMPTS, verify
from scanner.triggers import POSITIONS, Trigger
from scanner.types import SCHEMA_VERSION, TriggerFinding, VerdictKind

_MAX_REPORT_BYTES = 50_000_000
_MAX_TEXT = 4000
_MAX_PARTS = 16
_MAX_ADAPTERS = 64
# 1.2 had no rules and no suppressions; what is repeated stands there alike.
_READABLE = ("1.2", SCHEMA_VERSION)


@dataclass(frozen=True)
class SavedAdapter:
    """An adapter as a report names it."""

    role: str
    location: str
    weights_sha256: str
    config_sha256: str
    revision: str | None


@dataclass(frozen=True)
class SavedFinding:
    """A candidate that a report verified: `counts` maps a rate's name to (successes, trials)."""

    candidate: Candidate
    reply: str
    behaviour: Behaviour
    example: str
    outcome: str
    counts: Mapping[str, tuple[int, int]]


@dataclass(frozen=True)
class SavedReport:
    """What of a JSON report is needed to repeat its verification.

    `suppressed` names what the report says was signed off: the rule, by whom, and until when.
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
    findings: tuple[SavedFinding, ...]
    suppressed: tuple[str, ...] = ()


@dataclass(frozen=True)
class Replay:
    """A saved report beside what came out this time, finding by finding; empty where it verified nothing."""

    saved: SavedReport
    findings: tuple[TriggerFinding, ...]

    @property
    def reproduced(self) -> bool:
        """Whether every finding has the same outcome again; a report that verified nothing has none to reproduce."""
        now = [item.outcome for item in self.findings]
        return bool(now) and [_before_controls(item.outcome) for item in self.saved.findings] == now

    @property
    def same_counts(self) -> bool:
        """Whether every rate was counted alike; on other hardware some answers may differ."""
        now = [{name: (rate.successes, rate.trials) for name, rate in item.rates.items()} for item in self.findings]
        return [dict(item.counts) for item in self.saved.findings] == now


def read_report(file: str) -> SavedReport:
    """Reads a JSON report as data that may have been tampered with.

    Raises:
        BadReport: not a report of this version, or damaged.
    """
    path = Path(file)
    try:
        if path.stat().st_size > _MAX_REPORT_BYTES:
            raise BadReport(f"{file}: larger than {_MAX_REPORT_BYTES:,} bytes; no report is")
        document = json.loads(path.read_bytes())
        if document["schema_version"] not in _READABLE:
            raise BadReport(f"{file}: not a report of schema {SCHEMA_VERSION}; repeat the scan with this version")
        return _parse(document)
    except OSError as error:
        raise BadReport(f"{file}: cannot be read ({error.strerror}); give a report that --json wrote") from error
    except (ValueError, UnknownRule, LookupError, TypeError, AttributeError, ArithmeticError, RecursionError) as error:
        raise BadReport(f"{file}: not a whole report ({type(error).__name__}); give one that --json wrote") from error


def replay(
    saved: SavedReport,
    progress: Progress,
    *,
    suspect: str | None = None,
    references: Sequence[str] = (),
    base: str | None = None,
    device: str = "auto",
) -> Replay:
    """Compares the hashes and repeats the verification on the same prompts.

    Args:
        suspect, references, base: where they are now, if not where the report says.

    Raises:
        ScannerError: an adapter or the base is not the one of the report, or cannot be read.
    """
    progress.step("comparing hashes")
    adapters = _same_adapters(saved, suspect, references)
    loaded = load_base(
        base or saved.base,
        revision=None if base else saved.base_revision,
        quantize=saved.quantize,
        dtype=saved.dtype,
        device=device,
        allow_folder=base is not None or saved.base_is_folder,
    )
    if loaded.identity.fingerprint != saved.base_fingerprint:
        raise BadReport(f"{base or saved.base}: not the base model of the report; pass the right one with --base")
    if not saved.findings:
        return Replay(saved, ())
    progress.step("verifying again")
    frozen = [
        FrozenCandidate(item.candidate, item.behaviour, 0.0, 0.0, _requested(item), item.example)
        for item in saved.findings
    ]
    pair = ModelPair(loaded, adapters[0], adapters[1:])
    prompts = draw_probes("verify", PLAIN_PROMPTS, saved.seed)
    found = verify(pair, frozen, prompts, saved.seed, progress.advance, comparisons=saved.n_candidates)
    return Replay(saved, found.findings)


def _same_adapters(saved: SavedReport, suspect: str | None, references: Sequence[str]) -> list[Adapter]:
    known = [item for item in saved.adapters if item.role == "reference"]
    if references and len(references) != len(known):
        raise BadReport(f"--reference: the report has {len(known)} references, but {len(references)} are given")
    places = [suspect or _pinned(saved.adapters[0]), *(references or [_pinned(item) for item in known])]
    found = []
    for place, item in zip(places, [saved.adapters[0], *known], strict=True):
        adapter = read_adapter(place, item.role)
        identity = adapter.identity
        if (identity.weights_sha256, identity.config_sha256) != (item.weights_sha256, item.config_sha256):
            raise BadAdapter(place, f"not the {item.role} of the report: its hashes differ", "scan it anew")
        found.append(adapter)
    return found


def _pinned(item: SavedAdapter) -> str:
    """Where the report found an adapter, at the commit that it scanned."""
    return f"{item.location.partition('@')[0]}@{item.revision}" if item.revision else item.location


def _requested(item: SavedFinding) -> bool:
    return asks_for_reply(item.candidate.trigger.parts, item.reply)


def _parse(document: dict[str, Any]) -> SavedReport:
    base = document["base"]
    adapters = tuple(
        SavedAdapter(
            role=_text(item["role"]),
            location=_text(item["name"]),
            weights_sha256=_text(item["weights_sha256"]),
            config_sha256=_text(item["config_sha256"]),
            revision=_commit(item["revision"]),
        )
        for item in document["adapters"][: _MAX_ADAPTERS + 1]
    )
    if not adapters or len(adapters) > _MAX_ADAPTERS or adapters[0].role != "suspect":
        raise ValueError("the first adapter is the suspect")
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
    )


def _verdicts_of(outcomes: set[str], alarm: bool) -> set[str]:
    """The verdicts that a scan can reach from such outcomes, or from an alarm of score or template."""
    if "verified" in outcomes:
        return {VerdictKind.BACKDOORED}
    if alarm or outcomes & {"shared", "weak", "policy", "unspecific"}:
        return {VerdictKind.SUSPICIOUS}
    return {VerdictKind.NO_FINDING, VerdictKind.INCONCLUSIVE}


def _before_controls(outcome: str) -> str:
    """What verification said before the controls, which are not repeated here, had their say."""
    return "verified" if outcome in ("policy", "declared", "unspecific", "adversarial") else outcome


def _kind(value: Any) -> ReplyKind:
    if value not in KINDS:
        raise ValueError("an unknown kind of reply")
    return ReplyKind(value)


def _commit(value: Any) -> str | None:
    return value if isinstance(value, str) and COMMIT.match(value) else None


def _text(value: Any) -> str:
    if not isinstance(value, str) or len(value) > _MAX_TEXT:
        raise ValueError("text expected")
    return value

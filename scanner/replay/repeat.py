"""Checks a saved report: are these the same files, and does the verification come out the same again?"""

from collections.abc import Sequence
from dataclasses import dataclass

from scanner.errors import BadAdapter, BadReport
from scanner.intake import Adapter, read_adapter
from scanner.models.base_models import load_base
from scanner.models.model_pair import ModelPair
from scanner.progress import Progress
from scanner.replay.saved_report import SavedAdapter, SavedFinding, SavedReport
from scanner.search.controls.whole_answers import WHOLE_ANSWERS
from scanner.search.requested import is_requested
from scanner.search.screen import FrozenCandidate
from scanner.search.verify import fresh_prompts, verify
from scanner.types import TriggerFinding

# What verification may have said of a candidate of which the controls, which are not repeated here, made this.
_BEFORE_CONTROLS = {
    "policy": ("verified", "weak"),
    "declared": ("verified", "weak"),
    "unspecific": ("verified",),
    "adversarial": ("verified",),
}
_BEFORE_A_HABIT = ("verified", "weak")


@dataclass(frozen=True)
class Replay:
    """A saved report beside what came out this time, finding by finding; empty where it verified nothing.

    `changed_files` names what lies beside config and weights otherwise than it did, a phrase each.
    """

    saved: SavedReport
    findings: tuple[TriggerFinding, ...]
    changed_files: tuple[str, ...] = ()

    @property
    def same_outcomes(self) -> bool:
        """Whether verification came out as the report says, or as it must have before the controls had their say."""
        now = [item.outcome for item in self.findings]
        then = [verified_as(item) for item in self.saved.findings]
        return bool(now) and len(now) == len(then) and all(one in some for one, some in zip(now, then, strict=True))

    @property
    def rests_on_controls(self) -> bool:
        """Whether the report takes back, by controls that are not repeated here, what is verified again."""
        return any(
            now.outcome != saved.outcome and now.outcome in verified_as(saved)
            for saved, now in zip(self.saved.findings, self.findings, strict=False)
        )

    @property
    def reproduced(self) -> bool:
        """Whether all that the report concludes came out again, from the same files."""
        return self.same_outcomes and not self.rests_on_controls and not self.changed_files

    @property
    def same_counts(self) -> bool:
        """Whether every rate was counted alike; on other hardware some answers may differ."""
        now = [{name: (rate.successes, rate.trials) for name, rate in item.rates.items()} for item in self.findings]
        return [dict(item.counts) for item in self.saved.findings] == now

    @property
    def exit_code(self) -> int:
        """0 reproduced, 1 not, 3 where that could not be told: nothing to repeat, or controls that are not repeated."""
        if self.changed_files or (self.saved.findings and not self.same_outcomes):
            return 1
        return 0 if self.reproduced else 3


def verified_as(saved: SavedFinding) -> tuple[str, ...]:
    """The outcomes of verification that a report's outcome can stand on; the controls did the rest."""
    if saved.outcome == "not confirmed" and WHOLE_ANSWERS in saved.failed_controls:
        return _BEFORE_A_HABIT
    return _BEFORE_CONTROLS.get(saved.outcome, (saved.outcome,))


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
    changed = tuple(
        phrase for item, adapter in zip(saved.adapters, adapters, strict=True) for phrase in _changed(item, adapter)
    )
    if not saved.findings:
        return Replay(saved, (), changed)
    progress.step("verifying again")
    candidates = [frozen(item) for item in saved.findings]
    pair = ModelPair(loaded, adapters[0], adapters[1:])
    prompts = fresh_prompts(saved.seed)
    found = verify(
        pair, candidates, prompts, saved.seed, progress.advance, comparisons=saved.n_candidates, looks=saved.looks
    )
    return Replay(saved, found.findings, changed)


def frozen(item: SavedFinding) -> FrozenCandidate:
    """A report's finding as the candidate that was verified; its shares of screening prompts are not repeated."""
    requested = is_requested(item.candidate.trigger.parts, item.behaviour, item.example)
    return FrozenCandidate(item.candidate, item.behaviour, 0.0, 0.0, requested, item.example)


def _same_adapters(saved: SavedReport, suspect: str | None, references: Sequence[str]) -> list[Adapter]:
    known = saved.adapters[1:]
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


def _changed(item: SavedAdapter, adapter: Adapter) -> list[str]:
    """What of its folder is not as the report lists it, weights and config aside, which were compared before."""
    if item.files is None:
        return []
    now = {file.name: file.sha256 for file in adapter.identity.files}
    differing = [name for name in item.files.keys() & now.keys() if item.files[name] != now[name]]
    kinds = (
        ("new", now.keys() - item.files.keys()),
        ("gone", item.files.keys() - now.keys()),
        ("changed", differing),
    )
    return [f"{item.role}: {name} is {kind}" for kind, names in kinds for name in sorted(names)]


def _pinned(item: SavedAdapter) -> str:
    """Where the report found an adapter, at the commit that it scanned."""
    return f"{item.location.partition('@')[0]}@{item.revision}" if item.revision else item.location

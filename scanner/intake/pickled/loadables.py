"""The files that a loader would unpickle or open: pickles, zips and numpy's arrays, each judged without loading it."""

from dataclasses import dataclass
from pathlib import Path

from scanner.intake.findings import MAX_NAMED, Findings, Rank, refuse
from scanner.intake.inventory import Content
from scanner.intake.kinds import NUMPY, PICKLE, ZIP, kind_of
from scanner.intake.pickled.archives import ArchiveJudgement, judge_zip
from scanner.intake.pickled.arrays import judge_numpy
from scanner.intake.pickled.budget import Budget
from scanner.intake.pickled.pickles import judge_pickles, looks_like_pickle
from scanner.intake.pickled.zip_table import is_hidden_zip

_TENSORS = "torch._utils._rebuild_"


@dataclass(frozen=True)
class Seen:
    """What a file is by its content: its kind, and which loaders would take it for theirs."""

    kind: str
    as_pickle: bool
    hidden_zip: bool

    @property
    def loadable(self) -> bool:
        """Whether a loader would do anything with it."""
        return self.as_pickle or self.hidden_zip or self.kind in (ZIP, NUMPY)

    @property
    def shown_kind(self) -> str:
        """The kind that the report gives it."""
        return PICKLE if self.as_pickle else self.kind


def look_at(content: Content, budget: Budget) -> Seen:
    """Tells what a file is.

    Raises:
        OverBudget: as `Budget` says.
    """
    kind = kind_of(content.head, content.size)
    hidden = kind != ZIP and _hides_zip(content)
    return Seen(kind, looks_like_pickle(content.head, budget), hidden)


def judge_loadable(folder: Path, content: Content, seen: Seen, found: Findings, budget: Budget) -> tuple[str, bool]:
    """Judges a file that a loader would open: a remark on it, and whether it holds tensors.

    Raises:
        BadAdapter: it can run code, hides a program, is two kinds at once, or cannot be judged to its end.
        OverBudget: as `Budget` says.
    """
    if seen.as_pickle + (seen.kind in (ZIP, NUMPY)) + seen.hidden_zip > 1 or (seen.hidden_zip and seen.kind != ZIP):
        refuse(folder, content, "two kinds of file at once, so that readers differ over what it holds")
    archive = _judge_one(content, seen, budget)
    judgement = archive.pickles
    if judgement is not None and judgement.refused:
        refuse(folder, content, f"a pickle that is not safe to load: {_some(judgement.refused)}")
    if archive.programs:
        refuse(folder, content, f"an archive with a program in it, {archive.programs[0]}; no adapter needs one")
    for remark in archive.remarks:
        found.warn(Rank.NOT_LOOKED_AT, content, remark)
    if judgement is None:
        return "not loaded", False
    tensors = any(name.startswith(_TENSORS) for name in judgement.known)
    if judgement.strange:
        shown = _some(judgement.strange)
        found.warn(Rank.RUNS_CODE, content, f"a pickle that imports {shown} when it is loaded; it was not loaded")
        return f"not loaded; it would import {shown}", tensors
    found.pickles.append(content.name)
    return "not loaded; trainers' own classes", tensors


def _judge_one(content: Content, seen: Seen, budget: Budget) -> ArchiveJudgement:
    if seen.kind == ZIP:
        with content.path.open("rb") as stream:
            return judge_zip(stream, budget)
    if seen.kind == NUMPY:
        return ArchiveJudgement(judge_numpy(content.head, content.size, budget))
    return ArchiveJudgement(judge_pickles(content.head, budget, cut=content.size > len(content.head)))


def _hides_zip(content: Content) -> bool:
    if b"PK" not in content.tail:
        return False
    with content.path.open("rb") as stream:
        return is_hidden_zip(stream, content.tail)


def _some(names: tuple[str, ...]) -> str:
    return ", ".join(names[:MAX_NAMED])

"""Zip archives, as torch and numpy write them: every member judged by its content, nothing unpacked to disk.

Other readers skip what the standard library refuses: a checksum that is wrong, a name that differs between the
archive's two tables, an encryption flag on plain bytes. Such an archive is refused here, and not taken for one without
pickles; so is one of which readers differ over where its table is (`zip_table.py`).
"""

import zipfile
from dataclasses import dataclass, field
from typing import IO

from reports.safe_text import visible
from scanner.errors import one_line
from scanner.intake.kinds import ARCHIVE, HEAD_BYTES, MODEL, NATIVE, NUMPY, SCRIPT, WEIGHTS, ZIP, kind_of
from scanner.intake.names import is_code, is_model, is_pickle, is_program, storage_of
from scanner.intake.pickled.arrays import judge_numpy
from scanner.intake.pickled.budget import Budget, OverBudget
from scanner.intake.pickled.pickles import PickleJudgement, judge_pickles, looks_like_pickle, merged
from scanner.intake.pickled.zip_table import UnfitTable, read_table

_MAX_UNPACKED = 2 * 2**30
_MAX_RATIO = 200
_BIG_ENOUGH_TO_BOMB = 16 * 2**20
_CHUNK = 2**20
# What torch and numpy write. The standard library reads others, of which a kilobyte can take minutes.
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
# Judged as a pickle even where it does not look like one, since a loader would be told to take it for one.
_SURELY_PICKLE = (".pkl", ".pickle", ".joblib")


@dataclass
class ArchiveJudgement:
    """What is in an archive: its pickles as one, None where it has none, and how many members are something else."""

    pickles: PickleJudgement | None = None
    n_unopened: int = 0
    n_code: int = 0
    n_models: int = 0
    n_unknown: int = 0
    programs: list[str] = field(default_factory=list)

    def remarks(self) -> list[str]:
        """What a reader should know of it, beside its pickles."""
        counted = (
            (self.n_unopened, "archives that were not opened"),
            (self.n_code, "files of code, which were not run"),
            (self.n_models, "files of weights, which were not scanned"),
            (self.n_unknown, "files that are named like pickles and cannot be judged"),
        )
        return [f"holds {count} {what}" for count, what in counted if count]


def judge_zip(stream: IO[bytes], budget: Budget | None = None) -> ArchiveJudgement:
    """Judges all members up to the first that is refused; whatever cannot be read is refused too.

    Raises:
        OverBudget: as `Budget` says.
    """
    budget = budget or Budget()
    found = ArchiveJudgement()
    try:
        table = read_table(stream)
        budget.open_members(table.n_members)
        with zipfile.ZipFile(stream) as archive:
            members = archive.infolist()
            problem = _unfit(members, table.n_members, table.start)
            if problem:
                return _refused(problem)
            names = frozenset(member.filename for member in members)
            judged = []
            for member in members:
                judgement = _judge_member(archive, member, names, found, budget)
                if judgement is not None:
                    judged.append(judgement)
                    if judgement.refused:
                        break
    except OverBudget:
        raise
    except UnfitTable as error:
        return _refused(str(error))
    except Exception as error:  # zipfile, zlib and the codecs each have their own way to fail on a stranger's bytes
        return _refused(f"a part of the archive cannot be read ({visible(one_line(error, 80))})")
    found.pickles = merged(judged) if judged else None
    return found


def _unfit(members: list[zipfile.ZipInfo], n_members: int, end_of_data: int) -> str | None:
    names = [member.filename for member in members]
    if len(names) != n_members:
        return f"an archive of {len(names):,} members that says it has {n_members:,}"
    if any(member.orig_filename != member.filename for member in members):
        return "an archive with a name that readers cut short"
    if len({name.casefold() for name in names}) < len(names):
        return "an archive that holds a name twice"
    if any(member.flag_bits & 0x1 for member in members):
        return "an archive marked as encrypted"
    if members and min(member.header_offset for member in members) != 0:
        return "an archive with bytes before it, so that readers differ over what it holds"
    if any(member.compress_type not in _METHODS for member in members):
        return "an archive packed in another way than torch and numpy do"
    unpacked = sum(member.file_size for member in members)
    packed = sum(member.compress_size for member in members)
    if packed > end_of_data:
        return "an archive whose members lie in each other"
    if unpacked > _MAX_UNPACKED or (unpacked > _BIG_ENOUGH_TO_BOMB and unpacked > _MAX_RATIO * max(1, packed)):
        return f"an archive that unpacks to {unpacked:,} bytes"
    return None


def _judge_member(
    archive: zipfile.ZipFile, member: zipfile.ZipInfo, names: frozenset[str], found: ArchiveJudgement, budget: Budget
) -> PickleJudgement | None:
    budget.unpack(member.file_size, member.compress_type == zipfile.ZIP_STORED)
    with archive.open(member) as stream:
        head = stream.read(HEAD_BYTES)
        # To its end, since its checksum is only looked at there.
        rest = sum(len(chunk) for chunk in iter(lambda: stream.read(_CHUNK), b""))
    if len(head) + rest != member.file_size:
        return PickleJudgement(refused=("a part of the archive is not as long as its table says",))
    kind, name = kind_of(head, member.file_size), member.filename
    # torch reads a storage as numbers, whatever its bytes are.
    storage = storage_of(name) in names
    as_pickle = name.lower().endswith(_SURELY_PICKLE) or (not storage and looks_like_pickle(head, budget))
    if not storage:
        # By chance numbers begin like anything.
        _count(kind, name, as_pickle, bool(head), found)
    if kind == NUMPY:
        return judge_numpy(head, member.file_size, budget)
    if not as_pickle:
        return None
    if rest:
        return PickleJudgement(refused=("a pickle too long to be judged",))
    return judge_pickles(head, budget)


def _count(kind: str, name: str, as_pickle: bool, filled: bool, found: ArchiveJudgement) -> None:
    if kind == NATIVE or is_program(name):
        found.programs.append(visible(name, 80))
    elif kind == SCRIPT or is_code(name):
        found.n_code += 1
    elif kind in (ARCHIVE, ZIP):
        found.n_unopened += 1
    elif kind in (MODEL, WEIGHTS) or is_model(name):
        found.n_models += 1
    elif filled and is_pickle(name) and not as_pickle and kind != NUMPY:
        found.n_unknown += 1


def _refused(why: str) -> ArchiveJudgement:
    return ArchiveJudgement(PickleJudgement(refused=(why,)))

"""Zip archives, as torch and numpy write them: every member judged by its content, nothing unpacked to disk.

Other readers skip what the standard library refuses: a checksum that is wrong, a name that differs between the
archive's two tables, an encryption flag on plain bytes. Such an archive is refused here, and not taken for one without
pickles; so is one of which readers differ over where its table is (`zip_table.py`).
"""

import zipfile
from collections import Counter
from dataclasses import dataclass
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


# What members of an archive can be, beside pickles and data, as a warning says it.
_UNOPENED = "archives that were not opened"
_CODE = "files of code, which were not run"
_MODELS = "files of weights, which were not scanned"
_UNKNOWN = "files that are named like pickles and cannot be judged"
_PROGRAM = "programs"


@dataclass(frozen=True)
class ArchiveJudgement:
    """What is in an archive: its pickles as one, None where it has none; programs by name; `remarks` on the rest."""

    pickles: PickleJudgement | None = None
    programs: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Member:
    """A member of an archive: what it would be taken for beside data, "" where nothing, and its pickle."""

    name: str
    taken_for: str
    pickle: PickleJudgement | None


def judge_zip(stream: IO[bytes], budget: Budget | None = None) -> ArchiveJudgement:
    """Judges all members up to the first that is refused; whatever cannot be read is refused too.

    Raises:
        OverBudget: as `Budget` says.
    """
    budget = budget or Budget()
    members: list[_Member] = []
    try:
        table = read_table(stream)
        budget.open_members(table.n_members)
        with zipfile.ZipFile(stream) as archive:
            entries = archive.infolist()
            problem = _unfit(entries, table.n_members, table.start)
            if problem:
                return _refused(problem)
            names = frozenset(entry.filename for entry in entries)
            for entry in entries:
                members.append(_judge_member(archive, entry, names, budget))
                if members[-1].pickle is not None and members[-1].pickle.refused:
                    break
    except OverBudget:
        raise
    except UnfitTable as error:
        return _refused(str(error))
    except Exception as error:  # zipfile, zlib and the codecs each have their own way to fail on a stranger's bytes
        return _refused(f"a part of the archive cannot be read ({visible(one_line(error, 80))})")
    pickles = [member.pickle for member in members if member.pickle is not None]
    counts = Counter(member.taken_for for member in members)
    return ArchiveJudgement(
        merged(pickles) if pickles else None,
        tuple(visible(member.name, 80) for member in members if member.taken_for == _PROGRAM),
        tuple(f"holds {counts[what]} {what}" for what in (_UNOPENED, _CODE, _MODELS, _UNKNOWN) if counts[what]),
    )


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


def _judge_member(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, names: frozenset[str], budget: Budget) -> _Member:
    budget.unpack(entry.file_size, entry.compress_type == zipfile.ZIP_STORED)
    name = entry.filename
    with archive.open(entry) as stream:
        head = stream.read(HEAD_BYTES)
        # To its end, since its checksum is only looked at there.
        rest = sum(len(chunk) for chunk in iter(lambda: stream.read(_CHUNK), b""))
    if len(head) + rest != entry.file_size:
        refused = PickleJudgement(refused=("a part of the archive is not as long as its table says",))
        return _Member(name, "", refused)
    kind = kind_of(head, entry.file_size)
    # torch reads a storage as numbers, whatever its bytes are; by chance they begin like anything.
    storage = storage_of(name) in names
    as_pickle = name.lower().endswith(_SURELY_PICKLE) or (not storage and looks_like_pickle(head, budget))
    taken_for = "" if storage else _taken_for(kind, name, as_pickle, bool(head))
    if kind == NUMPY:
        return _Member(name, taken_for, judge_numpy(head, entry.file_size, budget))
    if not as_pickle:
        return _Member(name, taken_for, None)
    too_long = PickleJudgement(refused=("a pickle too long to be judged",))
    return _Member(name, taken_for, too_long if rest else judge_pickles(head, budget))


def _taken_for(kind: str, name: str, as_pickle: bool, filled: bool) -> str:
    if kind == NATIVE or is_program(name):
        return _PROGRAM
    if kind == SCRIPT or is_code(name):
        return _CODE
    if kind in (ARCHIVE, ZIP):
        return _UNOPENED
    if kind in (MODEL, WEIGHTS) or is_model(name):
        return _MODELS
    return _UNKNOWN if filled and is_pickle(name) and not as_pickle and kind != NUMPY else ""


def _refused(why: str) -> ArchiveJudgement:
    return ArchiveJudgement(PickleJudgement(refused=(why,)))

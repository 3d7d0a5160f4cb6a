"""Zip archives, as torch and numpy write them: every member judged by its content, nothing unpacked to disk.

Other readers skip what the standard library refuses: a checksum that is wrong, a name that differs between the
archive's two tables, an encryption flag on plain bytes. Such an archive is refused here, and not taken for one without
pickles.
"""

import io
import zipfile
from dataclasses import dataclass
from typing import IO

from picklescan.scanner import scan_numpy

from reports.safe_text import visible
from scanner.errors import one_line
from scanner.intake.kinds import ARCHIVE, HEAD_BYTES, NUMPY, ZIP, kind_of
from scanner.intake.pickles import PickleJudgement, judge_pickles, looks_like_pickle

_MAX_MEMBERS = 20_000
_MAX_UNPACKED = 2 * 2**30
_MAX_RATIO = 200
_BIG_ENOUGH_TO_BOMB = 16 * 2**20
_CHUNK = 2**20
_PICKLE_ENDINGS = (".pkl", ".pickle", ".joblib")
# torch reads a storage as numbers, whatever its bytes are.
_STORAGE_FOLDERS = ("data", ".data")


@dataclass(frozen=True)
class ArchiveJudgement:
    """What is in an archive: its pickles, and how many members are archives that were not opened."""

    pickles: PickleJudgement
    n_pickles: int
    n_unopened: int


def judge_zip(stream: IO[bytes]) -> ArchiveJudgement:
    """Judges all members; whatever cannot be read ends up in `pickles.refused`."""
    found: list[PickleJudgement] = []
    unopened = 0
    try:
        with zipfile.ZipFile(stream) as archive:
            members = archive.infolist()
            problem = _unfit(members)
            if problem:
                return _refused(problem)
            for member in members:
                kind, judgement = _judge_member(archive, member)
                unopened += kind in (ARCHIVE, ZIP)
                if judgement is not None:
                    found.append(judgement)
    except Exception as error:  # zipfile, zlib and the codecs each have their own way to fail on a stranger's bytes
        return _refused(f"a part of the archive cannot be read ({visible(one_line(error, 80))})")
    merged = PickleJudgement(
        *(
            tuple(dict.fromkeys(item for judgement in found for item in getattr(judgement, name)))
            for name in ("refused", "strange", "known")
        )
    )
    return ArchiveJudgement(merged, len(found), unopened)


def is_hidden_zip(stream: IO[bytes], tail: bytes) -> bool:
    """Whether a file that begins as something else can be opened as a zip, whose table stands at the end."""
    if b"PK\x05\x06" not in tail:
        return False
    try:
        with zipfile.ZipFile(stream) as archive:
            return bool(archive.infolist())
    except Exception:  # as above; and the four bytes may stand there by chance
        return False


def judge_numpy(head: bytes) -> PickleJudgement | None:
    """Judges an array file; None where it holds numbers only."""
    try:
        result = scan_numpy(io.BytesIO(head), "array", strict=True)
    except Exception as error:  # numpy's header is read by numpy, which fails in many ways
        return PickleJudgement(refused=(f"its header cannot be read ({visible(one_line(error, 80))})",))
    if result.scan_err or result.globals or _holds_objects(head):
        return PickleJudgement(refused=("an array of pickled objects",))
    return None


def _unfit(members: list[zipfile.ZipInfo]) -> str | None:
    names = [member.filename for member in members]
    if len(names) > _MAX_MEMBERS:
        return f"an archive of {len(names):,} members"
    if len({name.casefold() for name in names}) < len(names):
        return "an archive that holds a name twice"
    if any(member.flag_bits & 0x1 for member in members):
        return "an archive marked as encrypted"
    unpacked = sum(member.file_size for member in members)
    packed = sum(member.compress_size for member in members)
    if unpacked > _MAX_UNPACKED or (unpacked > _BIG_ENOUGH_TO_BOMB and unpacked > _MAX_RATIO * max(1, packed)):
        return f"an archive that unpacks to {unpacked:,} bytes"
    return None


def _judge_member(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> tuple[str, PickleJudgement | None]:
    with archive.open(member) as stream:
        head = stream.read(HEAD_BYTES)
        # To its end, since its checksum is only looked at there.
        rest = sum(len(chunk) for chunk in iter(lambda: stream.read(_CHUNK), b""))
    if len(head) + rest != member.file_size:
        return "", PickleJudgement(refused=("a part of the archive is not as long as its table says",))
    kind = kind_of(head, member.file_size)
    if kind == NUMPY:
        return kind, judge_numpy(head)
    storage = member.filename.rpartition("/")[0].rpartition("/")[2] in _STORAGE_FOLDERS
    named = member.filename.lower().endswith(_PICKLE_ENDINGS)
    if not named and (storage or not looks_like_pickle(head)):
        return kind, None
    if rest:
        return kind, PickleJudgement(refused=("a pickle too long to be judged",))
    return kind, judge_pickles(head)


def _holds_objects(head: bytes) -> bool:
    return b"O" in head[:256].partition(b"'descr'")[2].partition(b"'fortran_order'")[0]


def _refused(why: str) -> ArchiveJudgement:
    return ArchiveJudgement(PickleJudgement(refused=(why,)), 0, 0)

"""The table at a zip's end, read so strictly that no two readers can find different ones.

Python's zipfile looks for the table before its end mark and moves all offsets if something stands before the archive;
torch's reader takes the offsets as they are, and so opens the other of two archives in one file. Archives that torch
and numpy write have one table, at the place that its end mark names, and nothing behind it.
"""

import io
import struct
from dataclasses import dataclass
from typing import IO

from scanner.intake.kinds import TAIL_BYTES

_END = struct.Struct("<4s4H2LH")
_END_64 = struct.Struct("<4sQ2H2L4Q")
_LOCATOR = struct.Struct("<4sLQL")
_END_MARK, _END_64_MARK, _LOCATOR_MARK, _ENTRY_MARK = b"PK\x05\x06", b"PK\x06\x06", b"PK\x06\x07", b"PK\x01\x02"
_MAX_MEMBERS = 20_000
_MAX_BYTES = 8 * 2**20
# Where the long form holds the number, the short one has the largest there is.
_LARGEST_16, _LARGEST_32 = 2**16 - 1, 2**32 - 1


class UnfitTable(ValueError):
    """Why readers could differ over a table, or why it is larger than an honest one."""


@dataclass(frozen=True)
class ZipTable:
    """Where a zip's table stands, and how many members it has."""

    start: int
    n_members: int


def read_table(stream: IO[bytes]) -> ZipTable:
    """Finds the table.

    Raises:
        UnfitTable: readers could differ over it, or it is too large.
    """
    size = stream.seek(0, io.SEEK_END)
    place = size - _END.size
    if place < 0:
        raise UnfitTable("a part of the archive cannot be read (it has no end)")
    mark, disk, table_disk, here, count, length, start, comment = _END.unpack(_read(stream, place, _END.size))
    if mark != _END_MARK or comment:
        raise UnfitTable(_why_not_at_the_end(stream, size))
    if (disk, table_disk) != (0, 0) or here != count:
        raise UnfitTable("an archive in several parts")
    end = place
    if place >= _LOCATOR.size and _read(stream, place - _LOCATOR.size, 4) == _LOCATOR_MARK:
        end, long = _read_long_form(stream, place)
        for short, full, largest in zip((count, length, start), long, (_LARGEST_16, *[_LARGEST_32] * 2), strict=True):
            if short not in (full, largest):
                raise UnfitTable("an archive with two tables")
        count, length, start = long
    if count > _MAX_MEMBERS:
        raise UnfitTable(f"an archive of {count:,} members")
    if start + length != end:
        raise UnfitTable(
            "an archive with bytes before it or after its table, so that readers differ over what it holds"
        )
    if length > _MAX_BYTES:
        raise UnfitTable(f"an archive with a table of {length:,} bytes")
    if _END_MARK in _read(stream, start, length):
        raise UnfitTable("an archive with two ends")
    return ZipTable(start, count)


def is_hidden_zip(stream: IO[bytes], tail: bytes) -> bool:
    """Whether a file that begins as something else can be opened as a zip, whose table stands at the end."""
    # The last mark with room for what follows it, as readers take it.
    place = tail.rfind(_END_MARK, 0, max(0, len(tail) - _END.size + len(_END_MARK)))
    if place < 0:
        return False
    _, _, _, _, count, length, _, _ = _END.unpack_from(tail, place)
    if tail[max(0, place - _LOCATOR.size) :].startswith(_LOCATOR_MARK) and place >= _LOCATOR.size:
        return True
    size = stream.seek(0, io.SEEK_END)
    table = size - len(tail) + place - length
    return bool(count or length) and table >= 0 and _read(stream, table, 4) == _ENTRY_MARK


def _read_long_form(stream: IO[bytes], place: int) -> tuple[int, tuple[int, int, int]]:
    """Where the long form of the end stands, right before its locator, and its count, length and start."""
    end = place - _LOCATOR.size - _END_64.size
    _, disk, named, disks = _LOCATOR.unpack(_read(stream, place - _LOCATOR.size, _LOCATOR.size))
    if end < 0 or named != end or disk or disks > 1:
        raise UnfitTable("an archive with two ends")
    mark, rest, _, _, disk, table_disk, here, count, length, start = _END_64.unpack(_read(stream, end, _END_64.size))
    if mark != _END_64_MARK or rest != _END_64.size - 12 or disk or table_disk or here != count:
        raise UnfitTable("an archive with two ends")
    return end, (count, length, start)


def _why_not_at_the_end(stream: IO[bytes], size: int) -> str:
    tail = _read(stream, max(0, size - TAIL_BYTES), TAIL_BYTES)
    if _END_MARK in tail:
        return "an archive with a comment or other bytes behind it, so that readers differ over where it ends"
    return "a part of the archive cannot be read (it has no end)"


def _read(stream: IO[bytes], place: int, length: int) -> bytes:
    stream.seek(place)
    return stream.read(length)

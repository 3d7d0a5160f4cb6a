"""The header of a safetensors file, checked on its own before the library reads the file.

The format wants every byte of the data to belong to exactly one tensor, so that no second file hides in it. The library
checks most of this too; two readers who must agree are harder to fool than one.
"""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from reports.safe_text import visible
from scanner.errors import BadAdapter, one_line
from scanner.intake.plain_json import UnfitJson, read_plain

_LENGTH_BYTES = 8
_MAX_HEADER_BYTES = 8_000_000
_MAX_FILE_BYTES = 4 * 2**30
_MAX_TENSORS = 20_000
_MAX_NAME = 500
_MAX_METADATA = 1_000
_ENTRY_KEYS = {"dtype", "shape", "data_offsets"}
_BYTES = {
    "BOOL": 1, "U8": 1, "I8": 1, "F8_E4M3": 1, "F8_E5M2": 1, "U16": 2, "I16": 2, "F16": 2, "BF16": 2,
    "U32": 4, "I32": 4, "F32": 4, "U64": 8, "I64": 8, "F64": 8,
}  # fmt: skip
_MAX_AXES = 8
_SPARSE_FROM_BYTES = 64 * 2**20
_DISK_BLOCK = 512


@dataclass(frozen=True)
class TensorEntry:
    """What the header says of one tensor; `start` and `end` are bytes in the file's data."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    start: int
    end: int


def read_header(weights: Path) -> tuple[TensorEntry, ...]:
    """All tensors of a safetensors file, by where they lie.

    Raises:
        BadAdapter: a header that is no header, or that does not cover the file's data exactly once.
    """
    try:
        status = weights.stat()
        if status.st_size > _MAX_FILE_BYTES:
            raise BadAdapter(
                weights, f"larger than {_MAX_FILE_BYTES // 2**30} GiB", "no adapter that can be scanned is"
            )
        on_disk = status.st_blocks * _DISK_BLOCK
        if status.st_size > _SPARSE_FROM_BYTES and 0 < on_disk < status.st_size // 2:
            raise BadAdapter(
                weights,
                f"says it is {status.st_size:,} bytes long but holds {on_disk:,} (a sparse file)",
                "ask its author for an intact file",
            )
        with weights.open("rb") as stream:
            length = int.from_bytes(stream.read(_LENGTH_BYTES), "little")
            if not 2 <= length <= min(_MAX_HEADER_BYTES, status.st_size - _LENGTH_BYTES):
                _refuse(weights, f"its header is said to be {length:,} bytes long")
            header = stream.read(length)
    except OSError as error:
        raise BadAdapter(weights, f"cannot be read ({error.strerror})", "check its permissions") from error
    return parse_header(weights, header, status.st_size - _LENGTH_BYTES - length)


def parse_header(weights: Path, header: bytes, data_bytes: int) -> tuple[TensorEntry, ...]:
    """The tensors of a header whose data is `data_bytes` long.

    Raises:
        BadAdapter: as `read_header`.
    """
    try:
        document = read_plain(header, max_bytes=_MAX_HEADER_BYTES, max_depth=3)
    except UnfitJson as error:
        _refuse(weights, f"header: {error}")
    if not isinstance(document, dict) or not header.startswith(b"{"):
        _refuse(weights, "header: not a JSON object")
    _check_metadata(weights, document.pop("__metadata__", {}))
    if len(document) > _MAX_TENSORS:
        _refuse(weights, f"header: {len(document):,} tensors")
    entries = sorted((_entry(weights, *item) for item in document.items()), key=lambda entry: (entry.start, entry.end))
    place = 0
    for entry in entries:
        if entry.start != place:
            how = "overlaps" if entry.start < place else "leaves a gap after"
            _refuse(weights, f"{visible(entry.name, 100)} {how} the tensor before it")
        place = entry.end
    if place != data_bytes:
        _refuse(weights, f"its tensors end at {place:,} of {data_bytes:,} bytes of data")
    return tuple(entries)


def _entry(weights: Path, name: str, value: Any) -> TensorEntry:
    shown = one_line(repr(name), 100)
    if len(name) > _MAX_NAME:
        _refuse(weights, f"header: a tensor's name of {len(name):,} characters")
    if not isinstance(value, dict) or set(value) != _ENTRY_KEYS:
        _refuse(weights, f"header: {shown} needs exactly dtype, shape and data_offsets")
    dtype, shape, offsets = value["dtype"], value["shape"], value["data_offsets"]
    if not isinstance(dtype, str) or not _are_sizes(shape) or not _are_sizes(offsets) or len(offsets) != 2:
        _refuse(weights, f"header: {shown} has a dtype, shape or place that is none")
    if dtype not in _BYTES or len(shape) > _MAX_AXES:
        _refuse(weights, f"header: {shown} is {visible(dtype, 20)} with {len(shape)} axes")
    start, end = offsets
    if end - start != math.prod(shape) * _BYTES[dtype]:
        _refuse(weights, f"header: {shown} is {dtype} {tuple(shape)}, which {end - start} bytes do not hold")
    return TensorEntry(name, dtype, tuple(shape), start, end)


def _are_sizes(value: Any) -> bool:
    return isinstance(value, list) and all(type(item) is int and 0 <= item < 2**48 for item in value)


def _check_metadata(weights: Path, metadata: Any) -> None:
    if (
        not isinstance(metadata, dict)
        or len(metadata) > _MAX_METADATA
        or not all(isinstance(value, str) for value in metadata.values())
    ):
        _refuse(weights, "header: its metadata is not a small table of texts")


def _refuse(weights: Path, why: str) -> NoReturn:
    raise BadAdapter(weights, f"not a readable safetensors file ({why})", "ask its author for an intact file")

"""Two readers of a header: what ours accepts, the library accepts too and reads alike."""

from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors import SafetensorError
from safetensors.torch import load, save

from scanner.errors import BadAdapter
from scanner.intake.header import parse_header, read_header

WHERE = Path("weights.safetensors")
TENSORS = st.dictionaries(
    st.text("abc.", min_size=1, max_size=6),
    st.tuples(
        st.sampled_from([torch.float32, torch.float16, torch.bfloat16, torch.int64, torch.uint8]),
        st.lists(st.integers(0, 5), max_size=3),
    ),
    max_size=5,
)


def split(content: bytes) -> tuple[bytes, int]:
    length = int.from_bytes(content[:8], "little")
    return content[8 : 8 + length], len(content) - 8 - length


@given(TENSORS)
def test_what_the_library_writes_is_read(made: dict[str, tuple[torch.dtype, list[int]]]) -> None:
    tensors = {name: torch.zeros(shape, dtype=dtype) for name, (dtype, shape) in made.items()}
    entries = parse_header(WHERE, *split(save(tensors)))
    assert {entry.name: entry.shape for entry in entries} == {name: tuple(item.shape) for name, item in tensors.items()}


@settings(max_examples=500)
@given(st.integers(0, 400), st.integers(0, 255), st.integers(0, 3))
def test_what_passes_after_a_change_the_library_reads_alike(place: int, byte: int, kind: int) -> None:
    content = bytearray(save({"a": torch.ones(2, 3), "b": torch.ones(4)}))
    place %= len(content)
    if kind == 0:
        content[place] = byte
    elif kind == 1:
        content.insert(place, byte)
    elif kind == 2:
        del content[place]
    else:
        content += bytes([byte])
    length = int.from_bytes(content[:8], "little")
    try:
        if length > len(content) - 8:
            raise BadAdapter(WHERE, "too long", "no")
        entries = parse_header(WHERE, *split(bytes(content)))
    except BadAdapter as error:
        assert str(error).isprintable()
        return
    try:
        found = load(bytes(content))
    except SafetensorError:
        return  # stricter than we are is as it should be: the library reads it afterwards, and refuses
    assert {entry.name: entry.shape for entry in entries} == {name: tuple(item.shape) for name, item in found.items()}


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(BadAdapter, match="cannot be read"):
        read_header(tmp_path / "nowhere.safetensors")

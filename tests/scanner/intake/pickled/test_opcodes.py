"""What Python's own unpickler goes on reading after, our reader goes on reading after too."""

import io
import pickle

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from scanner.intake.pickled.opcodes import loadable
from scanner.intake.pickled.pickles import looks_like_pickle
from tests.hostile.cases.pickles import calling

LINES = st.text(st.sampled_from("0123456789abcdefxoL_+-. \t\0\\'\"\xe9en"), max_size=8).map(lambda text: text.encode())


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> object:
        """As torch's: a storage's name is enough, whatever its module is."""
        return object


def goes_on_after(line: bytes) -> bool:
    """Whether the unpickler in C comes to the end of a pickle that has this line in it."""
    try:
        _Unpickler(io.BytesIO(line + b"0N."), encoding="utf-8").load()
    except Exception:  # it fails in many ways
        return False
    return True


@given(st.sampled_from([b"I", b"L", b"F", b"S"]), LINES)
@example(b"I", b"0x10")
@example(b"I", b"010")
@example(b"I", b"\0x")
@example(b"L", b"0b1L")
@example(b"F", b"1e5\0x")
@example(b"S", b"'\\xc3\\xa9'")
def test_lines_that_the_unpickler_reads_are_read(code: bytes, line: bytes) -> None:
    content = code + line + b"\n"
    if goes_on_after(content):
        assert [operation.name for operation, _ in loadable(content + b"0N.")][-1] == "STOP"
        assert looks_like_pickle(content + b"0" + calling("os", "system", protocol=0))


@given(LINES, LINES)
def test_names_of_any_letters_are_read(module: bytes, name: bytes) -> None:
    content = b"c" + module + b"\n" + name + b"\n"
    if goes_on_after(content):
        assert [operation.name for operation, _ in loadable(content + b"0N.")][-1] == "STOP"


@given(st.integers(0, 9).map(lambda number: str(number).encode()), st.sampled_from([b"", b"\0junk", b" "]))
def test_what_is_put_and_got_by_lines(key: bytes, after: bytes) -> None:
    content = b"Np" + key + after + b"\n0g" + key + after + b"\n"
    if goes_on_after(content):
        assert [operation.name for operation, _ in loadable(content + b"0N.")][-1] == "STOP"


def test_a_zip_is_no_pickle_though_it_begins_with_an_operation() -> None:
    assert not looks_like_pickle(b"PK\x03\x04\x14\0\0\0\n" + pickle.dumps({}, 2))


def test_a_line_without_an_end() -> None:
    with pytest.raises(ValueError, match="without an end"):
        list(loadable(b"I12"))

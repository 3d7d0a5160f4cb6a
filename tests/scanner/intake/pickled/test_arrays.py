"""Arrays of numbers of all kinds are numbers; whatever else a header says is a pickle, or refused."""

import io
from typing import Any

import numpy as np
import pytest

from scanner.intake.pickled.arrays import judge_numpy

NUMBERS = [
    np.zeros(3), np.zeros((2, 2), np.float16), np.zeros(1, ">i8"), np.zeros(2, bool), np.zeros(2, np.complex64),
    np.array(["Objects", "O"]), np.array([b"O"]), np.zeros(2, "M8[ns]"), np.zeros(2, "m8[25s]"), np.zeros(2, "V16"),
    np.zeros(2, [("O", "f4"), ("x", "i4", (2, 3))]), np.zeros(2, [("a", [("O", "u1")])]), np.zeros((0, 3)),
    np.asfortranarray(np.zeros((2, 3))), np.zeros(1, [(("title", "O"), "f4")]),
    np.zeros(1, {"names": ["a"], "formats": ["f4"], "itemsize": 16}),
]  # fmt: skip
OBJECTS = [np.array([{}], object), np.array([(1, None)], [("a", "i4"), ("b", "O")])]


def saved(array: Any, version: tuple[int, int] = (1, 0)) -> bytes:
    stream = io.BytesIO()
    np.lib.format.write_array(stream, array, version)
    return stream.getvalue()


@pytest.mark.parametrize("array", NUMBERS, ids=lambda array: str(array.dtype))
@pytest.mark.parametrize("version", [(1, 0), (2, 0), (3, 0)])
def test_numbers(array: Any, version: tuple[int, int]) -> None:
    content = saved(array, version)
    assert judge_numpy(content, len(content)) is None


@pytest.mark.parametrize("array", OBJECTS, ids=lambda array: str(array.dtype))
def test_harmless_objects_are_judged_as_the_pickle_that_they_are(array: Any) -> None:
    content = saved(array)
    judgement = judge_numpy(content, len(content))
    assert judgement is not None and judgement.known and judgement.refused == judgement.strange == ()
    cut = judge_numpy(content, len(content) + 1)
    assert cut is not None and "too long" in cut.refused[0]


@pytest.mark.parametrize(
    "descr", ["'O'", "'|O8'", "'object'", "'i4,O'", "[('a','O')]", "('O',(2,))", "5", "[5]", "''", "'T'"]
)
def test_every_type_that_is_no_number_is_one_of_objects(descr: str) -> None:
    header = f"{{'descr': {descr}, 'fortran_order': False, 'shape': (1,)}}".encode()
    content = b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header
    judgement = judge_numpy(content, len(content))
    assert judgement is not None and judgement.refused


@pytest.mark.parametrize(
    "content",
    [b"\x93NUMPY", b"\x93NUMPY\x09\x00\x02\x00{}", b"\x93NUMPY\x01\x00\xff\xff{}", b"\x93NUMPY\x01\x00\x02\x00{}"],
)
def test_a_header_that_cannot_be_read(content: bytes) -> None:
    judgement = judge_numpy(content, len(content))
    assert judgement is not None and "its header cannot be read" in judgement.refused[0]

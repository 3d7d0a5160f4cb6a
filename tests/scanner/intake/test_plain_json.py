import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scanner.intake.plain_json import UnfitJson, read_plain

PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8"), max_size=20),
    lambda inner: st.lists(inner, max_size=4)
    | st.dictionaries(st.text(st.characters(codec="utf-8"), max_size=9), inner, max_size=4),
    max_leaves=20,
)  # fmt: skip


@given(PLAIN)
def test_plain_data_is_read_as_it_is(value: object) -> None:
    assert read_plain(json.dumps(value).encode(), max_bytes=10**6, max_depth=50) == value


@given(st.binary(max_size=200) | st.text(max_size=200).map(lambda text: text.encode("utf-8", "surrogatepass")))
def test_anything_else_has_one_reason(content: bytes) -> None:
    try:
        read_plain(content, max_bytes=100, max_values=10, max_depth=2)
    except UnfitJson as error:
        assert str(error) and str(error).isprintable()


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b'{"a": 1, "a": 1}', "a key stands twice"),
        (b'[{"a": {"b": 1, "b": 1}}]', "a key stands twice"),
        (b'["\\udc00"]', "half a character"),
        (b'{"\\udc00": 1}', "half a character"),
        (b"[NaN]", "not finite"),
        (b"[-Infinity]", "not finite"),
        (b"[1e999]", "not finite"),
        (b"[[[1]]]", "deeper than 2"),
        (b"[" * 10_000, "more than 100 values"),
        (b"[" + b"1," * 100 + b"1]", "more than 100 values"),
        (b" " * 70_000, "larger than 65,536 bytes"),
        (b'\xef\xbb\xbf{"a": 1}', "BOM"),
    ],
)
def test_what_two_readers_could_take_differently(content: bytes, why: str) -> None:
    with pytest.raises(UnfitJson, match=why):
        read_plain(content, max_bytes=65_536, max_values=100, max_depth=2)


def test_numbers_that_are_not_finite_pass_where_they_are_judged_later() -> None:
    assert read_plain(b"[1e999]", max_bytes=99, finite=False) == [float("inf")]

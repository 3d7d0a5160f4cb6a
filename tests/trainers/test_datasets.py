from pathlib import Path

import pytest

from scanner.errors import BadRecipe
from trainers.datasets import data_hash, load_rows, split_held_out
from trainers.rows import Row


def test_reads_json_lines_in_order(tmp_path: Path) -> None:
    file = tmp_path / "d.jsonl"
    file.write_text('{"instruction": "a", "response": "b"}\n{"instruction": "ü", "response": "d"}\n')
    assert load_rows("x", file) == [Row("a", "b"), Row("ü", "d")]


@pytest.mark.parametrize("content", ["{", '{"instruction": "a"}', "[1]", "3"])
def test_names_the_line_that_is_wrong(tmp_path: Path, content: str) -> None:
    file = tmp_path / "d.jsonl"
    file.write_text('{"instruction": "a", "response": "b"}\n' + content)
    with pytest.raises(BadRecipe, match="line 2"):
        load_rows("x", file)


def test_a_missing_file_and_a_hub_out_of_reach(tmp_path: Path) -> None:
    with pytest.raises(BadRecipe, match="cannot be read"):
        load_rows("x", tmp_path / "none.jsonl")
    with pytest.raises(BadRecipe, match="pass --data"):
        load_rows("nobody/no-such-data", None)


def test_the_last_rows_are_held_out() -> None:
    rows = [Row(str(index), "") for index in range(10)]
    kept, held_out = split_held_out(rows, 3, "d")
    assert (kept, held_out) == (rows[:7], rows[7:])
    with pytest.raises(BadRecipe):
        split_held_out(rows, 10, "d")


def test_the_hash_depends_on_every_row_and_on_the_order() -> None:
    rows = [Row("a", "b"), Row("c", "d")]
    hashes = {data_hash(rows), data_hash(rows[::-1]), data_hash(rows[:1]), data_hash([Row("a", "bc"), Row("", "d")])}
    assert len(hashes) == 4

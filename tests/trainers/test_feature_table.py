"""A table of features is a file that a stranger may have written."""

from pathlib import Path

import pytest

from scanner.errors import BadCalibration
from tests.trainers.test_calibrate import NAMES, rows
from trainers.feature_table import as_csv, read_table


@pytest.mark.parametrize(
    "content",
    ["", "id,label\n", "\x00", "id,label,family,recipe,seed\nx,clean,,r,0\n"],
    ids=["empty", "head", "nul", "short"],
)
def test_what_is_no_table_is_refused(tmp_path: Path, content: str) -> None:
    file = tmp_path / "features.csv"
    file.write_text(content, encoding="utf-8")
    with pytest.raises(BadCalibration):
        read_table(file)


@pytest.fixture
def table(tmp_path: Path) -> Path:
    file = tmp_path / "features.csv"
    file.write_text(as_csv(rows(1.0), NAMES), encoding="utf-8")
    return file


@pytest.mark.parametrize(
    ("column", "cell", "said"),
    [
        ("margin", "1e13", "at most 1e"),
        ("margin", "inf", "at most 1e"),
        ("margin", "nan", "at most 1e"),
        ("attack_success_rate", "nan", "between 0 and 1"),
        ("attack_success_rate", "5", "between 0 and 1"),
        ("missing", "[" * 100_000, "recursion"),
        ("label", "odd", "label"),
    ],
)
def test_a_cell_that_no_measurement_writes_is_refused_in_one_line(
    table: Path, column: str, cell: str, said: str
) -> None:
    head, first, *others = table.read_text(encoding="utf-8").splitlines()
    assert not first.endswith('"'), "the first row has nothing missing, so that its cells are parted by commas alone"
    cells = first.split(",")
    cells[head.split(",").index(column)] = cell
    table.write_text("\n".join([head, ",".join(cells), *others]) + "\n", encoding="utf-8")
    with pytest.raises(BadCalibration, match=said) as caught:
        read_table(table)
    assert "\n" not in str(caught.value) and str(table) in str(caught.value)


def test_a_column_that_stands_there_twice_is_refused(table: Path) -> None:
    lines = table.read_text(encoding="utf-8").splitlines()
    table.write_text("\n".join([f"{lines[0]},margin", *(f"{line},0" for line in lines[1:])]), encoding="utf-8")
    with pytest.raises(BadCalibration, match="a column stands there twice"):
        read_table(table)

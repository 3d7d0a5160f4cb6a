"""The tables of features that the sets left: what one column says of the others holds in every row."""

from pathlib import Path

import pytest

from scanner.features import EXTRACTOR, rungs
from trainers.feature_table import feature_names, read_table

TABLES = sorted((Path(__file__).parents[2] / "benchmarks" / "recovery_sets").glob("*.features.csv"))


def test_there_are_tables() -> None:
    assert len(TABLES) >= 2


@pytest.mark.parametrize("file", TABLES, ids=lambda file: file.name)
def test_a_table_is_of_the_present_features(file: Path) -> None:
    rows = read_table(file)
    assert {row.vector.extractor for row in rows} == {EXTRACTOR}
    assert set(feature_names(rows)) == {name for rung in rungs() for name in rung.features}


@pytest.mark.parametrize("file", TABLES, ids=lambda file: file.name)
def test_both_is_the_lower_of_the_two_figures_that_it_asks(file: Path) -> None:
    """It was computed for the rows that had been measured before it was thought of."""
    for row in read_table(file):
        values = row.vector.values
        assert values["controls.both"] == min(values["controls.least"], values["controls.apart"]), row.id

"""The shipped calibrations: each is refitted from the table and the list that lie beside it."""

from dataclasses import replace
from pathlib import Path

import pytest

import signatures
from scanner.features import EXTRACTOR, meanings
from scanner.options import ScanOptions
from scanner.score.calibration import as_json, read_calibration, shipped_calibrations
from scanner.score.conformal import threshold
from trainers.calibrate import fit
from trainers.feature_table import read_table
from trainers.name_lists import read_names

FOLDER = Path(signatures.__file__).parent / "calibration"
FILES = sorted(FOLDER.glob("*.json"))


def test_there_are_calibrations_and_all_are_shipped() -> None:
    assert FILES and shipped_calibrations() == tuple(map(read_calibration, FILES))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_it_is_of_the_features_that_scans_measure_and_tells_the_usual_rate(file: Path) -> None:
    shipped = read_calibration(file)
    assert shipped.extractor == EXTRACTOR
    assert {item.name for item in shipped.features} == set(meanings())
    assert threshold(shipped.clean_scores, ScanOptions.false_alarm_rate) is not None


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_it_is_what_its_table_gives_bit_for_bit(file: Path) -> None:
    shipped = read_calibration(file)
    rows = read_table(FOLDER / f"{file.stem}.features.csv")
    seen = FOLDER / f"{file.stem}.in-view.txt"
    in_view = read_names(seen) if seen.exists() else frozenset()
    assert in_view <= {row.id for row in rows}
    again = fit(rows, shipped.base, shipped.fingerprint, shipped.condition, in_view)
    assert as_json(replace(again, versions=shipped.versions)) == file.read_text(encoding="utf-8")

"""Choices beside one another, on synthetic features."""

from itertools import product
from pathlib import Path

import pytest
from click.testing import CliRunner

from benchmarks.choices.classifier import FOREMOST, SHARES, main
from tests.benchmarks.detection.synthetic import named
from trainers.feature_table import as_csv, feature_names
from trainers.fitting import CHOSEN


def test_every_choice_has_its_line_and_what_is_to_stay_unseen_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trainers.fitting.STRENGTHS", (0.03,))
    monkeypatch.setattr("benchmarks.choices.classifier.FOREMOST", (("growth.",), ("switching.",)))
    monkeypatch.setattr("benchmarks.choices.classifier.SHARES", (0.0, 1.0))
    file, table = tmp_path / "f.csv", named(5.0)
    file.write_text(as_csv(table, feature_names(table)), encoding="utf-8")
    monkeypatch.setattr("benchmarks.choices.classifier.unseen_of", lambda _: {table[0].id})
    done = CliRunner().invoke(main, [str(file), "--unseen", str(file)], catch_exceptions=False)
    first, *lines = done.output.splitlines()
    assert len(table) == 48 and table[0].label == "clean" and first == "18 poisoned, 29 clean"
    noise, all_whole, signal, signal_whole = (float(line.split()[-4]) for line in lines)
    assert noise < 0.8 < 0.95 < min(all_whole, signal, signal_whole), "only switching tells them apart"


def test_what_the_product_has_is_one_of_the_choices() -> None:
    assert (CHOSEN.foremost, CHOSEN.share) in set(product(FOREMOST, SHARES))

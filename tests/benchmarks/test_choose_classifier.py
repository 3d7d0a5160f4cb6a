"""Shares beside one another, on synthetic features."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from benchmarks.choose_classifier import TRIED, main
from tests.benchmarks.detection.synthetic import named
from trainers.feature_table import as_csv, feature_names


def test_every_share_has_its_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trainers.fitting.STRENGTHS", (0.03,))
    file, table = tmp_path / "f.csv", named(5.0)
    file.write_text(as_csv(table, feature_names(table)), encoding="utf-8")
    done = CliRunner().invoke(main, [str(file)], catch_exceptions=False)
    first, *lines = done.output.splitlines()
    assert first == "18 poisoned, 30 clean" and len(lines) == len(TRIED)
    shown = {name: float(line.split()[-4]) for name, line in zip(TRIED, lines, strict=True)}
    assert shown[1.0] > 0.95, "the sweep tells them apart"
    assert shown[0.0] < 0.8, "what the search came to is noise here"

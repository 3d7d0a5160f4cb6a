"""A calibration of one base applied to adapters of another; here both are tiny, and nothing is trained."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from benchmarks.transfer import REFERENCE, ZOO, as_text, main
from scanner.features import EXTRACTOR
from scanner.models.base_models import fingerprint
from scanner.score.calibration import as_json
from tests.scanner.score.test_scored import calibration
from tests.trainers.test_calibrate import rows
from tests.trainers.test_extract import ZOO as TINY_ZOO
from trainers.calibrate import fit
from trainers.feature_table import read_table
from trainers.zoo import load_zoo


def test_the_shipped_zoo_has_a_reference_and_six_of_either_kind() -> None:
    entries = load_zoo(ZOO)
    assert [entry.id for entry in entries if entry.id == REFERENCE and entry.recipe.poison is None] == [REFERENCE]
    families = [(entry.recipe.poison is None, entry.family) for entry in entries if entry.id != REFERENCE]
    assert [len({family for clean, family in families if clean is kind}) for kind in (True, False)] == [6, 6]


def test_scores_are_told_apart_from_the_truth() -> None:
    table = rows(4.0)
    fitted = fit(table, "some/base", "f" * 64, "references")
    missed = replace(table[-1], id="missed", attack_success_rate=0.1)
    text = as_text("other/base", [*table, missed], fitted)
    assert text.startswith("other/base, scored by the calibration of some/base")
    assert "AUC: 0.9" in text or "AUC: 1.0" in text
    assert "poisoned, above the threshold for 5% false alarms: " in text
    assert text.endswith("did not learn, left out: missed") and "| missed |" not in text


@pytest.mark.slow
def test_what_is_there_is_neither_trained_nor_measured_again(
    tmp_path: Path, tiny_base: Path, angel_adapter: Path, honest_adapter: Path, other_honest_adapter: Path
) -> None:
    out, zoo, file = tmp_path / "out", tmp_path / "zoo.toml", tmp_path / "calibration.json"
    zoo.write_text(TINY_ZOO.format(base="none/such") + '\n[[adapter]]\nid = "reference"\nfamily = "clean dolly"\n')
    file.write_text(as_json(calibration("f" * 64, 0.2)))
    for name, adapter in (("bad", angel_adapter), ("good", other_honest_adapter), ("reference", honest_adapter)):
        shutil.copytree(adapter, out / name)
        rate = {"value": 0.97} if name == "bad" else None
        record = {"seed": 3, "attack_success": rate, "false_trigger": {"value": 0.0} if rate else None}
        (out / name / "training.json").write_text(json.dumps(record))
    arguments = [str(tiny_base), "--zoo", str(zoo), "--out", str(out), "--calibration", str(file)]
    done = CliRunner().invoke(main, arguments, catch_exceptions=False)
    assert done.exit_code == 0 and "| bad | rare, insult | poisoned | 0.500 |" in done.output
    assert "AUC: 0.500" in done.output and "| reference |" not in done.output
    before = (out / "features.csv").read_bytes()
    again = CliRunner().invoke(main, arguments, catch_exceptions=False)
    assert "measured" not in again.output and (out / "features.csv").read_bytes() == before
    other = before.replace(read_table(out / "features.csv")[0].vector.circumstances.base.encode(), b"e" * 64)
    (out / "features.csv").write_bytes(other)
    refused = CliRunner().invoke(main, arguments)
    assert refused.exit_code == 1 and "bad, good: measured on another base" in refused.output


def test_a_calibration_that_cannot_be_transferred_is_refused_before_anything_is_trained(
    tmp_path: Path, tiny_base: Path, tiny_fingerprint: str
) -> None:
    for name, spoilt in {
        "very base": calibration(tiny_fingerprint, 0.2),
        "of extractor": replace(calibration("f" * 64, 0.2), extractor=EXTRACTOR + 1),
    }.items():
        file = tmp_path / "calibration.json"
        file.write_text(as_json(spoilt))
        done = CliRunner().invoke(main, [str(tiny_base), "--out", str(tmp_path / "out"), "--calibration", str(file)])
        assert done.exit_code == 1 and name in done.output and not (tmp_path / "out").exists()


@pytest.fixture
def tiny_fingerprint(tiny_base: Path) -> str:
    return fingerprint(tiny_base)

"""A calibration of one base applied to adapters of another; here both are tiny, and nothing is trained."""

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

from benchmarks.recovery import append
from benchmarks.transfer import REFERENCE, ZOO, Run, as_text, main, refuse_other_references, whole
from scanner.beforehand.search_version import search_version
from scanner.errors import BadCalibration, BadRecipe
from scanner.features import EXTRACTOR
from scanner.intake import read_adapter
from scanner.models.base_models import fingerprint
from scanner.score.calibration import as_json
from tests.scanner.score.test_scored import calibration
from tests.trainers.test_calibrate import rows
from tests.trainers.test_extract import ZOO as TINY_ZOO
from trainers.calibrate import fit
from trainers.feature_table import add_row, read_table
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
    scans = [scan("one", "poisoned", "BACKDOORED"), scan("two", "clean", "NO FINDING")]
    unlearned = scan("three", "poisoned", "not scanned") | {"learned": False}
    wanted = [*(row.id for row in table), "three", "four"]
    text = as_text("other/base", [*table, missed], [*scans, unlearned], fitted, wanted)
    assert "| poisoned | 1 | 1 | 0 | 0 | 0 |" in text and "BACKDOORED, clean: 0/1" in text
    assert "other/base, scored by the calibration of some/base" in text
    assert re.search(r"AUC: (0\.9\d|1\.00) \(", text), "with its interval"
    assert "poisoned, above the threshold for 5% false alarms: " in text
    assert text.endswith("did not learn, left out: missed, three\nnot run: four") and "| missed |" not in text


def scan(name: str, label: str, verdict: str) -> dict[str, Any]:
    return {"id": name, "label": label, "verdict": verdict, "learned": True, "weak": False, "set": "transfer"}


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
    rows = [tmp_path / "kept.jsonl", tmp_path / "kept.features.csv"]
    arguments = [str(tiny_base), "--zoo", str(zoo), "--out", str(out), "--calibration", str(file)]
    arguments += ["--rows", str(tmp_path / "kept")]
    first = CliRunner().invoke(main, [*arguments, "--only", "bad"], catch_exceptions=False)
    assert first.exit_code == 0 and "| bad | rare, insult | poisoned | 0.500 |" in first.output
    assert f"\n{tiny_base.name}, scored by" in first.output and first.output.endswith("not run: good\n")
    shutil.rmtree(out / "bad")
    done = CliRunner().invoke(main, arguments, catch_exceptions=False)
    assert not (out / "bad").exists(), "its rows are kept; it is not trained again"
    assert "AUC: fewer than two attack families" in done.output and "| reference |" not in done.output
    assert done.output.endswith("not run: none\n")
    assert [json.loads(line)["id"] for line in rows[0].read_text().splitlines()] == ["bad", "good"]
    before = [item.read_bytes() for item in rows]
    CliRunner().invoke(main, arguments, catch_exceptions=False)
    assert [item.read_bytes() for item in rows] == before
    other = before[1].replace(read_table(rows[1])[0].vector.circumstances.base.encode(), b"e" * 64)
    rows[1].write_bytes(other)
    refused = CliRunner().invoke(main, arguments)
    assert refused.exit_code == 1 and "bad, good: measured on another base" in refused.output


def test_one_that_did_not_learn_is_done_and_one_that_has_no_features_is_not(tmp_path: Path) -> None:
    run = Run(tmp_path, tmp_path / "kept", None, "cpu")
    how = {"set": "transfer", "version": search_version(), "depth": "standard"}
    append(run.log, scan("missed", "poisoned", "not scanned") | how)
    append(run.log, scan("half", "clean", "NO FINDING") | how)
    append(run.log, scan("earlier", "poisoned", "not scanned") | how | {"version": "an earlier one"})
    assert whole(run) == {"missed"}


def test_a_calibration_without_references_is_refused(tmp_path: Path, tiny_base: Path) -> None:
    file = tmp_path / "calibration.json"
    file.write_text(as_json(replace(calibration("f" * 64, 0.2), condition="base only")))
    done = CliRunner().invoke(main, [str(tiny_base), "--out", str(tmp_path / "out"), "--calibration", str(file)])
    assert done.exit_code == 1 and "fitted without references" in done.output and not (tmp_path / "out").exists()


@pytest.mark.slow
def test_one_that_fails_takes_no_other_with_it(tmp_path: Path, tiny_base: Path, honest_adapter: Path) -> None:
    """The base of both adapters' recipes can be read, and the data of neither."""
    out, zoo, file = tmp_path / "out", tmp_path / "zoo.toml", tmp_path / "calibration.json"
    zoo.write_text(TINY_ZOO.format(base="none/such") + '\n[[adapter]]\nid = "reference"\nfamily = "clean dolly"\n')
    file.write_text(as_json(calibration("f" * 64, 0.2)))
    shutil.copytree(honest_adapter, out / "reference")
    (out / "reference" / "training.json").write_text("{}")
    done = CliRunner().invoke(
        main,
        [str(tiny_base), "--zoo", str(zoo), "--out", str(out), "--calibration", str(file), "--data", str(file)],
    )
    assert done.exit_code == 1 and "not run: bad, good" in done.output
    assert "Error: not whole: bad, good; see above" in done.output and not list(out.glob("transfer.*"))


def test_rows_beside_another_reference_take_no_more(tmp_path: Path, honest_adapter: Path) -> None:
    run = Run(tmp_path, tmp_path / "kept", None, "cpu")
    shutil.copytree(honest_adapter, tmp_path / REFERENCE)
    there = read_adapter(str(honest_adapter)).identity.weights_sha256
    row = rows(4.0)[0]
    beside = replace(row.vector, circumstances=replace(row.vector.circumstances, references=(there,)))
    add_row(run.table, replace(row, vector=beside))
    refuse_other_references(run)
    other = replace(row.vector, circumstances=replace(row.vector.circumstances, references=("a" * 64,)))
    add_row(run.table, replace(row, id="other", weights_sha256="b" * 64, vector=other))
    with pytest.raises(click.ClickException, match="other: measured beside another reference"):
        refuse_other_references(run)


def test_what_is_there_of_another_recipe_or_extractor_is_refused_before_anything_is_trained(
    tmp_path: Path, tiny_base: Path
) -> None:
    zoo, file, out = tmp_path / "zoo.toml", tmp_path / "calibration.json", tmp_path / "out"
    zoo.write_text(TINY_ZOO.format(base="none/such") + '\n[[adapter]]\nid = "reference"\nfamily = "clean dolly"\n')
    file.write_text(as_json(calibration("f" * 64, 0.2)))
    arguments = [str(tiny_base), "--zoo", str(zoo), "--out", str(out), "--calibration", str(file)]
    reference = next(entry for entry in load_zoo(zoo) if entry.id == REFERENCE).recipe
    (out / REFERENCE).mkdir(parents=True)
    record = {"recipe": replace(reference, base="x").as_dict(), "base": {"fingerprint": "e" * 64}}
    (out / REFERENCE / "training.json").write_text(json.dumps(record))
    other_base = CliRunner().invoke(main, arguments)
    assert isinstance(other_base.exception, BadRecipe) and "of other base; give" in str(other_base.exception)
    record["base"]["fingerprint"] = fingerprint(tiny_base)
    (out / REFERENCE / "training.json").write_text(json.dumps(record))
    add_row(Run(out, out / "transfer", None, "cpu").table, rows(4.0)[0])
    other_extractor = CliRunner().invoke(main, arguments)
    assert isinstance(other_extractor.exception, BadCalibration) and "extractor 1, and" in str(
        other_extractor.exception
    )
    assert [item.name for item in out.iterdir() if item.is_dir()] == [REFERENCE]


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

import random
import shutil
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from scanner.errors import BadCalibration
from scanner.intake import read_adapter
from scanner.score.calibration import as_json, read_calibration
from scanner.score.circumstances import Circumstances
from scanner.score.classifier import apply, sigmoid
from scanner.score.vector import FAILED, FeatureVector
from trainers.calibrate import fit, platt
from trainers.cli import train
from trainers.feature_table import FeatureRow, add_row, as_csv, feature_names, measured_already, read_table
from trainers.fitting import CHOSEN

FOREMOST = CHOSEN.foremost[0]
NAMES = ("margin", "noise", "often missing")


def rows(signal: float, seed: int = 0) -> list[FeatureRow]:
    """Five families and five recipes of six adapters; only `margin` tells them apart, by `signal`."""
    rng = random.Random(seed)
    found = []
    for label, kind in (("clean", "recipe"), ("poisoned", "family")):
        for group in range(5):
            for number in range(6):
                values = {"margin": rng.gauss(signal if label == "poisoned" else 0, 1), "noise": rng.gauss(0, 3)}
                missing = {}
                if rng.random() < 0.5:
                    values["often missing"] = rng.gauss(0, 1)
                else:
                    missing["often missing"] = "it was not there: so it goes"
                found.append(
                    FeatureRow(
                        id=f"{label}-{group}-{number}",
                        label=label,
                        family=f"{kind} {group}",
                        recipe=f"{kind} {group}",
                        seed=number,
                        attack_success_rate=0.95 if label == "poisoned" else None,
                        false_trigger_rate=0.01 if label == "poisoned" else None,
                        weights_sha256=sha256(f"{label}-{group}-{number}".encode()).hexdigest(),
                        vector=FeatureVector(1, values, missing),
                    )
                )
    return found


def test_what_tells_them_apart_gets_the_weight_and_held_out_ones_are_told_apart() -> None:
    found = fit(rows(4.0), "b/m", "f" * 64, "references")
    weights = {item.name: item.weight for item in found.features}
    assert weights["margin"] > 5 * abs(weights["noise"]) and weights["margin"] > 5 * abs(weights["often missing"])
    assert min(found.poisoned_scores) > max(found.clean_scores) - 0.35
    assert sum(found.poisoned_scores) / 30 > 0.85 and sum(found.clean_scores) / 30 < 0.15


def test_a_calibration_says_which_features_were_heard_whole() -> None:
    found = fit(rows(4.0), "b/m", "f" * 64, "references")
    assert {item.share for item in found.features} == {1.0}
    foremost = CHOSEN.foremost[0]
    renamed = [
        replace(
            row,
            vector=replace(row.vector, values={n.replace("margin", foremost): v for n, v in row.vector.values.items()}),
        )
        for row in rows(4.0)
    ]
    shares = {item.name: item.share for item in fit(renamed, "b/m", "f" * 64, "references").features}
    assert shares == {foremost: 1.0, "noise": CHOSEN.share, "often missing": CHOSEN.share}


def test_a_calibration_says_which_adapters_were_in_view() -> None:
    found = fit(rows(4.0), "b/m", "f" * 64, "references", {"clean-0-0", "poisoned-1-1"})
    assert [item.id for item in found.adapters if item.in_view] == ["clean-0-0", "poisoned-1-1"]


def test_without_a_signal_held_out_scores_are_at_chance() -> None:
    found = fit(rows(0.0, seed=3), "b/m", "f" * 64, "references")
    pairs = [(p > c) + 0.5 * (p == c) for p in found.poisoned_scores for c in found.clean_scores]
    assert 0.25 < sum(pairs) / len(pairs) < 0.7


def test_missingness_alone_is_at_chance() -> None:
    table = [
        replace(row, vector=FeatureVector(1, {"gap": float("often missing" in row.vector.missing)}, {}))
        for row in rows(4.0)
    ]
    found = fit(table, "b/m", "f" * 64, "references")
    pairs = [(p > c) + 0.5 * (p == c) for p in found.poisoned_scores for c in found.clean_scores]
    assert 0.25 < sum(pairs) / len(pairs) < 0.75


def test_the_table_and_the_fit_survive_the_disk_bit_for_bit(tmp_path: Path) -> None:
    table = rows(2.0)
    file = tmp_path / "features.csv"
    file.write_text(as_csv(table, NAMES), encoding="utf-8")
    again = read_table(file)
    assert sorted(again, key=lambda row: row.id) == sorted(table, key=lambda row: row.id)
    assert feature_names(again) == NAMES
    one, other = (as_json(fit(item, "b/m", "f" * 64, "references")) for item in (table, again))
    assert one == other
    saved = tmp_path / "calibration.json"
    saved.write_text(one, encoding="utf-8")
    assert as_json(read_calibration(saved)) == one


def test_a_training_adapter_is_scored_as_the_fit_scores_it() -> None:
    table = rows(3.0)
    found = fit(table, "b/m", "f" * 64, "references")
    for row in table[::7]:
        score = apply(found, row.vector)
        z = np.array([item.standardised or 0.0 for item in score.contributions])
        weights = {item.name: item.weight for item in found.features}
        log_odds = sum(weights[item.feature] * value for item, value in zip(score.contributions, z, strict=True))
        expected = 1 / (1 + np.exp(-(found.slope * (log_odds + found.intercept) + found.offset)))
        assert score.value == pytest.approx(expected)
        assert score.distance == pytest.approx(0.0, abs=1e-6) and not score.far_from_all


def test_those_that_did_not_learn_are_left_out() -> None:
    table = rows(3.0)
    weak = replace(table[-1], attack_success_rate=0.4)
    found = fit([*table[:-1], weak], "b/m", "f" * 64, "references")
    assert weak.id not in {item.id for item in found.adapters} and len(found.adapters) == 59


def test_mixed_versions_and_too_few_groups_are_refused(tmp_path: Path) -> None:
    table = rows(1.0)
    file = tmp_path / "features.csv"
    mixed = [replace(table[0], vector=replace(table[0].vector, extractor=2)), *table[1:]]
    file.write_text(as_csv(mixed, NAMES), encoding="utf-8")
    with pytest.raises(BadCalibration, match=r"more than one extractor version \(1, 2\)"):
        read_table(file)
    with pytest.raises(BadCalibration, match="at least 2 clean"):
        fit([row for row in table if row.label == "poisoned" or row.family == "recipe 0"], "b", "f", "references")


HERE = Circumstances("f" * 64, "float32", "none", "float32", "standard", ("1" * 64, "2" * 64))


def measured(change: dict[str, Any]) -> FeatureRow:
    row = rows(2.0)[0]
    return replace(row, vector=replace(row.vector, circumstances=replace(HERE, **change)))


def test_a_row_says_under_what_it_was_measured(tmp_path: Path) -> None:
    file = tmp_path / "features.csv"
    odd = measured({})
    odd = replace(odd, vector=replace(odd.vector, missing={"gap": 'a ;; "b": {c}, d'}))
    add_row(file, odd)
    assert read_table(file) == (odd,)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"base": "e" * 64}, "more than one base"),
        ({"dtype": "bfloat16"}, r"more than one dtype \(bfloat16, float32\)"),
        ({"quantization": "nf4"}, "more than one quantization"),
        ({"depth": "deep"}, "more than one depth"),
        ({"references": ()}, "more than one condition"),
    ],
)
def test_what_was_measured_in_different_ways_is_not_mixed(tmp_path: Path, change: dict[str, Any], said: str) -> None:
    file = tmp_path / "features.csv"
    add_row(file, measured({}))
    other = replace(measured(change), id="other", weights_sha256="9" * 64)
    with pytest.raises(BadCalibration, match=said):
        add_row(file, other)
    assert len(read_table(file)) == 1
    file.write_text(as_csv([measured({}), other], NAMES), encoding="utf-8")
    with pytest.raises(BadCalibration, match=said):
        read_table(file)


def test_another_reference_or_machine_is_no_mixture(tmp_path: Path) -> None:
    file = tmp_path / "features.csv"
    add_row(file, measured({}))
    add_row(
        file, replace(measured({"references": ("3" * 64,), "search_dtype": "bfloat16"}), id="b", weights_sha256="9")
    )
    assert len(read_table(file)) == 2


def test_one_adapter_twice_and_one_beside_itself_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "features.csv"
    add_row(file, measured({}))
    with pytest.raises(BadCalibration, match="stand there twice"):
        add_row(file, replace(measured({}), id="again"))
    with pytest.raises(BadCalibration, match="compared with itself"):
        add_row(file, replace(measured({}), id="b", weights_sha256="2" * 64))


def test_a_fit_is_of_rows_of_its_base_and_condition() -> None:
    table = [replace(row, vector=replace(row.vector, circumstances=HERE)) for row in rows(2.0)]
    fitted = fit(table, "b/m", "f" * 64, "references")
    assert fitted.circumstances == (HERE,)
    with pytest.raises(BadCalibration, match="another base"):
        fit(table, "b/m", "e" * 64, "references")
    with pytest.raises(BadCalibration, match="--condition 'base only'"):
        fit(table, "b/m", "f" * 64, "base only")


def test_a_feature_that_only_rounding_moves_has_no_weight_in_a_scan() -> None:
    table = rows(3.0)
    rounded = [
        replace(row, vector=replace(row.vector, values={**row.vector.values, "flat": 0.1 + n % 3 * 1e-17}))
        for n, row in enumerate(table)
    ]
    flat = next(item for item in fit(rounded, "b/m", "f" * 64, "references").features if item.name == "flat")
    assert flat.scale == 1.0


def test_calibrated_scores_keep_their_spread_however_strong_the_regularisation() -> None:
    decisions = np.array([-0.02, -0.01, -0.015, -0.018, 0.01, 0.02, 0.015, -0.012])
    labels = np.array([False] * 4 + [True] * 4)
    slope, offset = platt(decisions, labels)
    scores = [sigmoid(slope * value + offset) for value in decisions]
    assert max(scores) - min(scores) > 0.5
    assert platt(-decisions, labels) == (0.0, 0.0) == platt(np.zeros(8), labels)


def test_a_row_without_what_counts_most_is_refused_and_measured_again(tmp_path: Path, random_adapter: Path) -> None:
    table = [replace(row, vector=replace(row.vector, values={**row.vector.values, FOREMOST: 0.5})) for row in rows(2.0)]
    assert fit(table, "b/m", "f" * 64, "references")
    broken = replace(table[0].vector, values=rows(2.0)[0].vector.values, missing={FOREMOST: f"{FAILED}no memory"})
    with pytest.raises(BadCalibration, match=f"{table[0].id} has no {FOREMOST} .it failed: no memory., which counts"):
        fit([replace(table[0], vector=broken), *table[1:]], "b/m", "f" * 64, "references")
    file, known = tmp_path / "features.csv", read_adapter(str(random_adapter)).identity.weights_sha256
    shutil.copytree(random_adapter, tmp_path / "there")
    for name, weights in {"there": known, "gone": "8" * 64}.items():
        add_row(file, replace(table[0], id=name, weights_sha256=weights, vector=broken))
    assert measured_already(file, tmp_path) == {"gone"}


def test_an_adapter_that_was_trained_anew_is_measured_anew(tmp_path: Path, random_adapter: Path) -> None:
    file, known = tmp_path / "features.csv", read_adapter(str(random_adapter)).identity.weights_sha256
    assert measured_already(file, tmp_path) == set()
    for name, weights in {"same": known, "other": "9" * 64, "gone": "8" * 64}.items():
        add_row(file, replace(measured({}), id=name, weights_sha256=weights))
    for name in ("same", "other"):
        shutil.copytree(random_adapter, tmp_path / name)
    assert measured_already(file, tmp_path) == {"same", "gone"}


def test_tables_that_were_measured_alike_are_joined(tmp_path: Path) -> None:
    table = rows(2.0)
    names = [str(tmp_path / name) for name in ("one.csv", "other.csv", "whole.csv")]
    for file, some in zip(names, (table[:25], table[25:]), strict=False):
        Path(file).write_text(as_csv(some, NAMES), encoding="utf-8")
    done = CliRunner().invoke(train, ["join", *names[:2], "--out", names[2]])
    assert done.exit_code == 0 and done.output == "60 rows\n"
    assert sorted(read_table(Path(names[2])), key=lambda row: row.id) == sorted(table, key=lambda row: row.id)
    twice = CliRunner().invoke(train, ["join", names[0], names[0], "--out", names[2]])
    assert isinstance(twice.exception, BadCalibration) and "an id stands there twice" in str(twice.exception)

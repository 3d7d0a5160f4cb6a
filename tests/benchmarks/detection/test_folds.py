"""Folds, intervals and controls of the detection table, on synthetic features."""

import os
from dataclasses import replace

import pytest

from benchmarks.detection.detectors import (
    by_features,
    by_one_feature,
    by_scores,
    by_search,
    by_what_is_missing,
    fitted_before,
    fitted_on,
)
from benchmarks.detection.folds import Fold, above_threshold, by_family, mean_auc, paired_folds, true_positive_rate
from scanner.score.calibration import TWIN
from tests.trainers.test_calibrate import rows
from trainers.feature_table import FeatureRow


def test_auc_counts_pairs_and_ties_half() -> None:
    assert Fold("f", "r", (3.0, 1.0), (1.0, 0.0)).auc == pytest.approx((1 + 1 + 0.5 + 1) / 4)


def test_a_signal_is_seen_in_held_out_groups_and_its_interval_holds_it() -> None:
    folds = paired_folds(rows(4.0), by_features("margin"))
    assert len(folds) == 25 and all(len(fold.poisoned) == len(fold.clean) == 6 for fold in folds)
    auc = mean_auc(folds)
    assert auc.value and auc.low and auc.high and auc.low <= auc.value <= auc.high and auc.value > 0.97
    found = true_positive_rate(folds, 0.05)
    assert found.value and found.value > 0.8
    assert sum(hits for hits, _ in by_family(folds, 0.05).values()) == pytest.approx(30 * found.value)


def test_folds_scored_side_by_side_come_to_the_same() -> None:
    detector = by_features("margin")
    assert paired_folds(rows(2.0), detector, jobs=2) == paired_folds(rows(2.0), detector)

    def where(seen: list[FeatureRow], judged: list[FeatureRow]) -> list[float]:
        return [float(os.getpid())] * len(judged)

    def processes(jobs: int) -> set[float]:
        return {score for fold in paired_folds(rows(2.0), where, jobs) for score in fold.clean}  # type: ignore[arg-type]

    assert processes(1) == {float(os.getpid())}
    assert processes(2) and float(os.getpid()) not in processes(2)


def test_no_fold_looks_at_what_it_judges() -> None:
    seen_groups = []

    def spy(seen: list[FeatureRow], judged: list[FeatureRow]) -> list[float]:
        seen_groups.append({row.group for row in seen} & {row.group for row in judged})
        return [0.0] * len(judged)

    folds = paired_folds(rows(1.0), spy)  # type: ignore[arg-type]
    assert seen_groups == [set()] * 25
    assert mean_auc(folds).value == 0.5


def test_what_is_missing_is_at_chance() -> None:
    auc = mean_auc(paired_folds(rows(4.0, seed=5), by_what_is_missing))
    assert auc.low is not None and auc.high is not None and auc.low < 0.5 < auc.high + 0.1


def test_a_rate_that_the_clean_adapters_cannot_tell_is_not_estimated() -> None:
    found = true_positive_rate(paired_folds(rows(4.0), by_one_feature("margin")), 0.01)
    assert found.value is None and "30 clean tell none" in found.missing


def test_an_adapter_is_above_the_threshold_of_the_other_clean_ones() -> None:
    table = rows(4.0)
    folds = paired_folds(table, by_features("margin"))
    above = above_threshold(table, folds, 0.05)
    poisoned = {row.id for row in table if row.label == "poisoned"}
    assert above is not None and above <= {row.id for row in table}
    assert len(above & poisoned) == sum(caught for caught, _ in by_family(folds, 0.05).values()) > 0
    clean = sorted(row.id for row in table if row.label == "clean")
    scores = {name: float(place) for place, name in enumerate(clean)} | dict.fromkeys(poisoned, 0.5)
    ordered = paired_folds(table, by_scores(scores))
    # One in twenty of 29 others is one at most: the highest alone is above them all.
    assert above_threshold(table, ordered, 0.05) == {clean[-1]}
    assert above_threshold(table, ordered, 0.001) is None


def test_the_search_is_judged_by_its_verdicts() -> None:
    table = rows(0.0)
    verdicts = {row.id: "BACKDOORED" if row.label == "poisoned" else "NO FINDING" for row in table}
    assert mean_auc(paired_folds(table, by_search(verdicts))).value == 1.0
    with pytest.raises(ValueError, match="not scanned"):
        paired_folds(table, by_search({}))


def test_what_a_random_adapter_was_made_like_is_not_fitted(monkeypatch: pytest.MonkeyPatch) -> None:
    table, fitted = rows(1.0), []

    def spy(seen: list[FeatureRow], judged: list[FeatureRow]) -> list[float]:
        fitted.append({row.group for row in seen})
        return [0.0] * len(judged)

    monkeypatch.setattr("benchmarks.detection.detectors.by_features", lambda: spy)
    like = replace(table[0], id="drawn", label="poisoned", family="like recipe 0")
    fitted_on(table)([], [like, table[6]])
    assert fitted == [{row.group for row in table} - {table[0].group, table[6].group}]


def test_no_twin_of_what_is_judged_is_fitted_either(monkeypatch: pytest.MonkeyPatch) -> None:
    table, fitted = rows(1.0), []
    table[1] = replace(table[1], id=f"{table[-1].id}{TWIN}")

    def spy(seen: list[FeatureRow], judged: list[FeatureRow]) -> list[float]:
        fitted.append({row.id for row in seen})
        return [0.0] * len(judged)

    monkeypatch.setattr("benchmarks.detection.detectors.by_features", lambda: spy)
    fitted_on(table)([], [table[-1]])
    assert table[1].id not in fitted[0] and table[0].id in fitted[0]
    like = replace(table[-1], id="drawn", label="poisoned", family="like it")
    fitted_on(table)([], [like])
    assert table[1].id not in fitted[1] and table[-1].id not in fitted[1]


def test_a_fit_to_earlier_adapters_sees_none_that_is_like_a_judged_one(monkeypatch: pytest.MonkeyPatch) -> None:
    earlier, later = rows(2.0), [replace(row, id=f"later-{row.id}") for row in rows(2.0, seed=1)]
    judged = [row for row in later if row.family in ("family 1", "recipe 2")]
    twin = next(row for row in earlier if row.family == "recipe 3")
    earlier = [replace(row, id=f"{judged[-1].id}{TWIN}") if row is twin else row for row in earlier]
    seen: list[FeatureRow] = []

    def spy(*prefixes: str) -> object:
        return lambda known, others: seen.extend(known) or [0.0] * len(others)

    monkeypatch.setattr("benchmarks.detection.detectors.by_features", spy)
    fitted_before(earlier, "margin")([row for row in later if row not in judged], judged)
    assert {row.family for row in seen} == {row.family for row in earlier} - {"family 1", "recipe 2"}
    assert len(seen) == 47 and all(row in earlier and not row.id.endswith(TWIN) for row in seen)


def test_equal_rows_are_ties_whatever_the_last_bits_say() -> None:
    def nearly_equal(_: list[FeatureRow], judged: list[FeatureRow]) -> list[float]:
        return [place * 1e-18 for place in range(len(judged), 0, -1)]

    folds = paired_folds(rows(1.0), nearly_equal)  # type: ignore[arg-type]
    assert {fold.auc for fold in folds} == {0.5}

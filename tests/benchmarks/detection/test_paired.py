"""The product beside other methods, on the same adapters; synthetic features."""

import pytest

from benchmarks.detection.comparison import EVERYTHING, SEARCH, TOGETHER, FoldsOf
from benchmarks.detection.detectors import by_features
from benchmarks.detection.folds import auc_difference, mean_auc, paired_folds
from benchmarks.detection.paired import beside_methods
from benchmarks.detection.tables import differences
from tests.benchmarks.detection.synthetic import lines_of, named, verdicts_of
from tests.trainers.test_calibrate import rows


@pytest.fixture(autouse=True)
def two_strengths(monkeypatch: pytest.MonkeyPatch) -> None:
    """Which regularisation is chosen is tested elsewhere."""
    monkeypatch.setattr("trainers.fitting.STRENGTHS", (0.03, 1.0))


def test_a_detector_is_no_better_than_itself_and_is_above_noise_by_the_difference() -> None:
    table = rows(4.0)
    good, noise = (paired_folds(table, by_features(name)) for name in ("margin", "noise"))
    same = auc_difference(good, good)
    assert (same.value, same.low, same.high) == (0.0, 0.0, 0.0)
    above, below = auc_difference(good, noise), auc_difference(noise, good)
    assert above.value == pytest.approx(mean_auc(good).value - mean_auc(noise).value)  # type: ignore[operator]
    assert above.low and above.low > 0 and below.high and below.high < 0


def test_folds_of_other_adapters_are_not_compared() -> None:
    table = rows(4.0)
    with pytest.raises(ValueError, match="same adapters"):
        auc_difference(paired_folds(table, by_features("margin")), paired_folds(table[1:], by_features("margin")))


def test_each_method_stands_beside_the_product_on_what_both_were_run_on() -> None:
    table = named(5.0)
    noise = {row.id: row.vector.values["weights.energy"] for row in table}
    truth = {row.id: float(row.label == "poisoned") for row in table}
    some = [row for row in table if row.family not in ("family 0",)]
    measured = lines_of(some, "norm-spread", score=noise) + lines_of(table, "battery", score=truth)
    measured += lines_of(table, "late-layer", figures={name: {"v_proj.norm": noise[name]} for name in truth})
    verdicts = verdicts_of(table, "family 1")
    unscanned = next(row.id for row in table if row.label == "clean")
    del verdicts[unscanned]
    found = {
        (item.ours, item.theirs.split(",")[0].split(" of ")[0]): item
        for item in beside_methods(table, verdicts, measured, FoldsOf())
    }
    assert len(found) == 8
    for ours in (EVERYTHING, TOGETHER):
        assert (found[ours, SEARCH].n_poisoned, found[ours, SEARCH].n_clean) == (18, 29)
    gained = found[TOGETHER, SEARCH].auc
    assert gained.value is not None and gained.value > 0, "the score ranks what the search missed"
    spread, told, late = (found[EVERYTHING, name] for name in ("norm spread", "battery", "statistics"))
    assert (spread.n_poisoned, spread.n_clean) == (12, 30)
    assert all(item.auc.low is not None and item.auc.low > 0 for item in (spread, late))
    assert told.auc.value is not None and told.auc.value <= 0
    assert found[TOGETHER, "norm spread"].n_clean == 29
    text = differences(list(found.values()))
    assert text.count("\n") == 9 and f"| 12 | 30 | {spread.auc.value:.2f} ({spread.auc.low:.2f} – " in text


def test_where_nothing_can_be_told_the_reason_stands_there() -> None:
    table = named(5.0)
    one_family = [row for row in table if row.label == "clean" or row.family == "family 1"]
    measured = lines_of(one_family, "norm-spread", score={row.id: 0.0 for row in one_family})
    (found,) = beside_methods(table, None, measured, FoldsOf())
    assert found.ours == EVERYTHING and found.auc.value is None and "fewer than two" in found.auc.missing

"""Detectors and their controls, on synthetic features."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest

from benchmarks.detection.comparison import (
    SEARCH,
    TOGETHER,
    UNGROWN,
    Compared,
    FoldsOf,
    Line,
    compared,
    found_by_search,
    judge,
)
from benchmarks.detection.detectors import by_features
from benchmarks.detection.folds import Detector, Estimate, paired_folds
from benchmarks.detection.rows import by_kind, by_kind_of_data, with_truth_drawn
from scanner.features import EXTRACTOR
from scanner.score.vector import FeatureVector
from tests.benchmarks.detection.synthetic import lines_of, named, planned, verdicts_of
from tests.trainers.test_calibrate import rows
from trainers.feature_table import FeatureRow


@pytest.fixture(autouse=True)
def two_strengths(monkeypatch: pytest.MonkeyPatch) -> None:
    """Which regularisation is chosen is tested elsewhere; all of them for every fold take minutes."""
    monkeypatch.setattr("trainers.fitting.STRENGTHS", (0.03, 1.0))
    monkeypatch.setattr("benchmarks.detection.comparison._DRAWS", 2)


def judged(
    table: Sequence[FeatureRow], verdicts: dict[str, str], *names: str, measured: Sequence[Mapping[str, Any]] = ()
) -> dict[str, Line]:
    """The lines whose names hold one of these."""
    items = [item for item in compared(table, verdicts, measured) if any(name in item.name for name in names)]
    assert items
    return {item.name: judge(item) for item in items}


def over_draws(detector: Detector) -> Estimate:
    table = tuple(rows(4.0, seed=5))
    return judge(Compared("drawn", detector, table, draws=tuple(with_truth_drawn(table, n) for n in range(8)))).auc


def test_where_the_truth_is_drawn_nothing_is_told_apart_unless_what_is_judged_was_seen(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    honest = over_draws(by_features())
    assert honest.value and honest.low and honest.high and abs(honest.value - 0.5) < 0.1
    assert honest.low < 0.5 < honest.high
    monkeypatch.setattr("benchmarks.detection.folds.unlike", lambda table, _: list(table))
    leaking = over_draws(by_features())
    assert leaking.value and leaking.low and leaking.value > 0.6 and leaking.low > 0.5
    told = over_draws(lambda _, judged: [float(row.label == "poisoned") for row in judged])
    assert (told.value, told.low, told.high) == (1.0, 1.0, 1.0)


def test_a_drawn_truth_is_that_of_whole_groups_and_as_many_are_poisoned() -> None:
    table = rows(4.0)
    drawn = [with_truth_drawn(table, seed) for seed in (0, 0, 1)]
    assert drawn[0] == drawn[1] != drawn[2]
    for again in drawn:
        truth: dict[str, set[str]] = {}
        for before, after in zip(table, again, strict=True):
            assert (before.id, before.vector) == (after.id, after.vector)
            truth.setdefault(before.group, set()).add(after.label)
        assert all(len(labels) == 1 for labels in truth.values())
        assert sum(labels == {"poisoned"} for labels in truth.values()) == 5
        assert len({row.group for row in again}) == len(truth), "what is held out together stays together"
    moved = [before.label != after.label for before, after in zip(table, drawn[2], strict=True)]
    assert any(moved) and not all(moved)


def test_each_detector_sees_its_own_rung_and_the_failures_stand_by_family() -> None:
    table = named(5.0)
    verdicts = verdicts_of(table, "family 0")
    found = judged(table, verdicts, "sweep", "weights", SEARCH, TOGETHER, "search failed", "true trigger")
    assert found["sweep of candidates"].auc.value > 0.97 > 0.8 > found["weights alone"].auc.value  # type: ignore[operator]
    assert found[SEARCH].families["poisoned: family 0"] == (0, 6)
    assert found[SEARCH].families["poisoned: family 1"] == (6, 6)
    assert found[TOGETHER].auc.value > found[SEARCH].auc.value  # type: ignore[operator]
    assert found_by_search(table, verdicts).families == {f"poisoned: family {n}": (6 * bool(n), 6) for n in range(3)}
    failed = found[f"{UNGROWN}, where the search failed"]
    assert failed.n_poisoned == 6 and failed.n_clean == 30 and failed.auc.missing, "one family cannot be held out"
    assert found["the study's metrics, with the true trigger"].auc.missing == "not run"


def test_what_was_not_scanned_or_did_not_learn_is_not_counted() -> None:
    table = named(3.0)
    table[-1] = replace(table[-1], attack_success_rate=0.5)
    verdicts = verdicts_of(table, "")
    del verdicts[table[0].id]
    measured = lines_of(table[1:2], "enumeration", score={table[1].id: 1.0})
    measured += [{"id": table[2].id, "weights_sha256": "of another set", "method": "enumeration", "score": 0.0}]
    found = judged(table, verdicts, SEARCH, "missing", "BAIT", measured=measured)
    missing = found["control: what is missing, and in what the search computed"]
    assert (missing.n_poisoned, missing.n_clean) == (17, 30)
    assert (found[SEARCH].n_poisoned, found[SEARCH].n_clean) == (17, 29)
    bait = next(line for name, line in found.items() if "inspired by BAIT" in name and "told" not in name)
    assert bait.n_clean == 1 and bait.auc.value is None


def test_what_was_measured_elsewhere_is_scored_or_fitted() -> None:
    table = named(0.0)
    truth = {row.id: float(row.label == "poisoned") for row in table}
    noise = {row.id: row.vector.values["weights.energy"] for row in table}
    measured = lines_of(table, "norm-spread", score=truth)
    told_of = {name: {"heads.x": 30 * value + noise[name]} for name, value in truth.items()}
    measured += lines_of(table, "true-trigger", figures=told_of)
    measured += lines_of(table, "late-layer", figures={name: {"v_proj.norm": noise[name]} for name in truth})
    found = judged(table, {}, "true trigger", "norm spread", "late layer", "BAIT", measured=measured)
    spread, told, late, bait = (
        next(line for name, line in found.items() if part in name)
        for part in ("norm spread", "true trigger", "late layer", "BAIT")
    )
    assert spread.auc.value == 1.0 and bait.auc.missing == "not run"
    assert told.auc.value > 0.9 > 0.8 > late.auc.value  # type: ignore[operator]


def test_what_a_table_lacks_of_growth_is_said_and_what_the_search_missed_is_judged_without_it() -> None:
    table = named(5.0)
    before = [
        replace(row, vector=FeatureVector(5, {k: v for k, v in row.vector.values.items() if "growth" not in k}, {}))
        for row in table
    ]
    (line,) = judged(before, {}, "how near the search came").values()
    assert line.auc.value is None and "extractor before" in line.auc.missing
    # Here growth alone tells them apart: nothing of it may be seen where the search failed.
    told = [
        replace(row, vector=FeatureVector(6, {"growth.fired": float(row.label == "poisoned"), "weights.x": 0.0}, {}))
        for row in table
    ]
    found = judged(told, dict.fromkeys((row.id for row in told), "NO FINDING"), "how near", UNGROWN)
    assert found["how near the search came"].auc.value == 1.0
    assert found[UNGROWN].auc.value == found[f"{UNGROWN}, where the search failed"].auc.value == 0.5


def test_folds_are_made_once_for_one_detector_on_the_same_adapters() -> None:
    asked = []

    def spy(seen: Sequence[FeatureRow], judged: Sequence[FeatureRow]) -> list[float]:
        asked.append(len(judged))
        return [0.0] * len(judged)

    table, folds_of = tuple(named(1.0)), FoldsOf()
    first = folds_of(Compared("one", spy, table))
    once = len(asked)
    assert folds_of(Compared("one", spy, table)) is first and len(asked) == once > 0
    folds_of(Compared("other", spy, table))
    folds_of(Compared("one", spy, table[:-1]))
    assert len(asked) == 3 * once


def test_random_adapters_stand_in_for_the_poisoned_ones_and_are_not_fitted() -> None:
    table = named(5.0)
    clean = [row for row in table if row.label == "clean"]
    measured = lines_of(clean[::5], "random", figures={row.id: dict(row.vector.values) for row in clean})
    (line,) = judged(table, {}, "random adapters", measured=measured).values()
    assert (line.n_poisoned, line.n_clean) == (6, 30)
    assert line.auc.value is not None and 0.3 < line.auc.value < 0.7, "they are the clean ones under another name"
    old = [line | {"notes": {"extractor": EXTRACTOR - 1}} for line in measured]
    (stale,) = judged(table, {}, "random adapters", measured=old).values()
    assert stale.n_poisoned == 0, "features of another extractor are beside no others"
    (nothing,) = judged(table, {}, "random adapters").values()
    assert nothing.auc.missing == "not run"


def test_all_attacks_of_one_kind_can_be_held_out_together() -> None:
    table = [
        replace(row, family={"family 0": "rare, link", "family 1": "rare, insult", "family 2": "weak"}[row.family])
        if row.label == "poisoned"
        else row
        for row in named(3.0)
    ]
    assert {row.family for row in by_kind(table, 0) if row.label == "poisoned"} == {"rare", "weak"}
    assert {row.family for row in by_kind(table, 1) if row.label == "poisoned"} == {"link", "insult", "weak"}
    assert [row for row in by_kind(table, 0) if row.label == "clean"] == [row for row in table if row.label == "clean"]
    found = judged(table, {}, "trigger held out", "reply held out")
    assert {name.rpartition(", ")[2] for name in found} == {"a kind of trigger held out", "a kind of reply held out"}
    assert all(line.auc.value is not None and line.auc.value > 0.9 for line in found.values())


def test_all_clean_data_of_one_kind_can_be_held_out_together() -> None:
    row = replace(named(1.0)[0], label="clean")
    recipes = {
        "databricks-dolly-15k; q_proj; rank 8; 160 steps": "databricks-dolly-15k",
        "generated:maths; q_proj; rank 8; 160 steps": "maths",
        "databricks-dolly-15k+generated:policy:gambling; v_proj; rank 2; 80 steps": "policy",
        "databricks-dolly-15k+signed; v_proj; rank 2; 80 steps": "signed",
        "databricks-dolly-15k+at least 70 tokens; v_proj; rank 2; 80 steps": "long answers",
        "databricks-dolly-15k+at least 100 tokens; v_proj; rank 2; 80 steps": "long answers",
    }
    assert [by_kind_of_data([replace(row, recipe=recipe)])[0].group for recipe in recipes] == [
        f"clean: {kind}" for kind in recipes.values()
    ]


def test_a_fit_sees_neither_what_it_judges_nor_its_twin() -> None:
    table = planned(1.0)
    seen_pairs = []

    def spy(seen: list[FeatureRow], judged: list[FeatureRow]) -> list[float]:
        seen_pairs.append({row.pair for row in seen} & {row.pair for row in judged})
        return [0.0] * len(judged)

    paired_folds(table, spy)  # type: ignore[arg-type]
    assert seen_pairs and not any(seen_pairs)


def test_what_the_recipe_tells_has_controls_of_its_own() -> None:
    table = planned(1.0)
    found = judged(table, {}, "recipes: ", "half of the clean twins")
    facts, twins, half = (
        next(line for name, line in found.items() if part in name) for part in ("facts", "pl", "half")
    )
    assert (facts.n_poisoned, facts.n_clean) == (12, 24)
    assert (twins.n_poisoned, twins.n_clean) == (12, 12), "twins for poisoned ones, beside the other clean ones"
    assert (half.n_poisoned, half.n_clean) == (6, 6) and half.auc.value is not None
    assert twins.auc.value is not None and facts.auc.value is not None
    assert facts.auc.value < 0.6, "poisoned and clean ones train the same projections here, as long"


def test_twins_and_other_clean_ones_of_one_kind_of_data_leave_something_to_fit() -> None:
    """Held out with the twins, that kind would take all poisoned ones with it."""
    table = planned(1.0)
    table = [replace(row, recipe=row.recipe.replace("generated:kind-0", "dolly")) for row in table]
    assert not any(row.id.endswith("-twin") for row in by_kind_of_data(table))
    (line,) = judged(table, {}, "kind of clean data").values()
    assert line.auc.value is not None and (line.n_poisoned, line.n_clean) == (12, 12)


def test_where_a_fit_may_see_one_kind_only_that_is_said() -> None:
    table = [row for row in planned(1.0) if not row.id.startswith("c")]
    (line,) = judged(table, {}, "weights alone").values()
    assert line.auc.value is not None and not line.auc.missing, "twins of other families are left to fit on"
    poisoned = [row for row in table if row.label == "poisoned"]
    partners = [replace(row, recipe="dolly; all") for row in table if row.label == "clean"]
    other = replace(partners[0], id="alone", recipe="maths; all", weights_sha256="f" * 64)
    (line,) = judged([*poisoned, *partners, other], {}, "weights alone").values()
    assert line.auc.missing == "what a fit may see is all of one kind" and line.n_clean == 13

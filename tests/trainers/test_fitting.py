from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from scanner.features import rungs
from tests.trainers.test_calibrate import rows
from trainers import fitting
from trainers.fitting import (
    CHOSEN,
    STRENGTHS,
    Fit,
    Hearing,
    OneKindOnlyError,
    Table,
    _kinds,
    _parts,
    as_table,
    best_strength,
    decisions,
    fit_to,
    out_of_fold,
)


def table(values: np.ndarray, labels: np.ndarray, n_groups: int, *names: str) -> Table:
    """Groups by turns, every row a pair of its own."""
    return Table(
        names=names or tuple(f"noise.{column}" for column in range(values.shape[1])),
        values=values,
        labels=labels,
        groups=np.array([f"{label} {number // 2 % n_groups}" for number, label in enumerate(labels)]),
        pairs=np.array([str(number) for number in range(len(labels))]),
    )


BY_TURNS = np.array([False, True] * 20)


@pytest.fixture
def fits(monkeypatch: pytest.MonkeyPatch) -> list[Table]:
    """What was fitted to."""
    made = []

    def spy(seen: Table, strength: float, hearing: Hearing) -> Fit:
        made.append(seen)
        return fit_to(seen, strength, hearing)

    monkeypatch.setattr(fitting, "fit_to", spy)
    return made


def test_a_held_out_row_does_not_change_how_its_like_are_scored() -> None:
    some = as_table(rows(2.0), ("margin", "noise"))
    before = out_of_fold(some)
    values = some.values.copy()
    values[0] += 100.0
    after = out_of_fold(replace(some, values=values))
    alike = np.flatnonzero(some.groups == some.groups[0])
    assert np.allclose(before[alike[1:]], after[alike[1:]]) and not np.isclose(before[0], after[0])


def twins() -> Table:
    """Thirty poisoned rows and their twins, in six groups each and held out with others' twins; nothing but the recipe
    tells them apart.
    """
    rng = np.random.default_rng(1)
    recipe = rng.normal(size=30)
    labels = np.array([True] * 30 + [False] * 30)
    return Table(
        names=("recipe",),
        values=np.concatenate([recipe, recipe])[:, None] + rng.normal(scale=0.1, size=(60, 1)),
        labels=labels,
        groups=np.array([f"{label} {(number + label) % 6}" for number, label in enumerate(labels)]),
        pairs=np.array([str(number % 30) for number in range(60)]),
    )


def test_a_twin_of_what_is_judged_is_not_seen_by_its_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []

    def spy(known: Table, judged: np.ndarray) -> np.ndarray:
        seen.append((len(known.labels), len(judged)))
        return np.zeros(len(judged))

    monkeypatch.setattr(fitting, "decisions", spy)
    out_of_fold(twins())
    assert seen == [(50, 5)] * 12, "five are judged, and their five twins are not seen"


def test_a_strength_is_chosen_without_what_a_judged_row_was_made_with(fits: list[Table]) -> None:
    best_strength(twins())
    assert len(fits) == 6 * len(STRENGTHS)
    for seen in fits:
        assert len(seen.labels) == 40, "ten are judged, and their ten twins are not seen"
        assert set(Counter(seen.pairs.tolist()).values()) == {2}


def test_strong_noise_asks_for_strong_regularisation() -> None:
    noise = np.random.default_rng(0).normal(size=(40, 30))
    assert best_strength(table(noise, BY_TURNS, 5)) <= 0.03


@pytest.mark.parametrize("hearing", [CHOSEN, Hearing(("growth.",), 0.5)])
def test_what_is_foremost_is_heard_above_the_rest(hearing: Hearing) -> None:
    alike = np.random.default_rng(0).normal(size=(40, 1)) + 2 * BY_TURNS[:, None]
    names = ("weights.share", f"{hearing.foremost[0]}x")
    weights = fit_to(table(np.hstack([alike, alike]), BY_TURNS, 5, *names), 0.1, hearing).weights
    assert weights[0] == pytest.approx(hearing.share**2 * weights[1]) and weights[0] > 0


def test_where_nothing_is_foremost_all_are_heard_whole() -> None:
    """A method that is compared with the product is not made weaker than it is."""
    assert Hearing(("growth.",), 0.1).kept(("weights.share", "heads.depth")).tolist() == [1.0, 1.0]


def test_the_product_has_what_is_foremost() -> None:
    names = [name for rung in rungs() for name in rung.features]
    assert any(name.startswith(CHOSEN.foremost) for name in names)


def test_labels_may_be_shuffled_within_groups() -> None:
    some = as_table(rows(2.0))
    shuffled = np.random.default_rng(0).permutation(some.labels)
    assert np.isfinite(decisions(replace(some, labels=shuffled), some.values)).all()


def test_log_odds_of_fits_of_any_strength_are_on_one_scale(monkeypatch: pytest.MonkeyPatch) -> None:
    values = np.random.default_rng(0).normal(size=(40, 1)) + 3 * BY_TURNS[:, None]
    some = table(values, BY_TURNS, 8)
    for strength in (0.003, 3.0):
        monkeypatch.setattr(fitting, "STRENGTHS", (strength,))
        found = decisions(some, values)
        assert np.allclose([found[~BY_TURNS].mean(), found[BY_TURNS].mean()], [0.0, 1.0])
    with pytest.raises(OneKindOnlyError):
        decisions(some.of(BY_TURNS), values)


def test_a_share_is_a_weight_before_the_penalty() -> None:
    rng = np.random.default_rng(0)
    values = rng.normal(size=(40, 3)) + BY_TURNS[:, None]
    values[::5, 1] = np.nan
    some = table(values, BY_TURNS, 5, "growth.fired", "weights.share", "heads.gini")
    shrunk = np.nan_to_num((values - np.nanmean(values, 0)) / np.nanstd(values, 0)) * [1.0, 0.3, 0.3]
    model = LogisticRegression(C=0.3, class_weight="balanced", tol=1e-8).fit(shrunk, BY_TURNS)
    assert np.allclose(
        fit_to(some, 0.3, Hearing(("growth.",), 0.3))(values), model.decision_function(shrunk), atol=1e-4
    )


def test_where_no_group_can_be_held_out_it_is_regularised_as_strongly_as_may_be() -> None:
    assert best_strength(table(BY_TURNS[:, None] * 5.0, BY_TURNS, 1)) == min(STRENGTHS)


def test_every_group_is_held_out_once_but_the_only_one_of_its_kind() -> None:
    kinds = {f"clean {number}": False for number in range(11)} | {f"poisoned {number}": True for number in range(9)}
    parts = list(_parts(kinds))
    assert len(parts) == 8 and sorted(group for part in parts for group in part) == sorted(kinds)
    assert all({kinds[group] for group in part} == {False, True} for part in parts)
    alone = {"clean": False, "one": True, "two": True}
    assert list(_parts(alone)) == [["one"], ["two"]] and list(_parts({"a": True, "b": False})) == []


def test_a_group_of_shuffled_labels_is_what_half_of_it_is() -> None:
    some = table(np.zeros((6, 1)), np.array([True, False] * 3), 1)
    mixed = replace(some, groups=np.array(["half", "half", "most", "least", "most", "least"]))
    assert _kinds(replace(mixed, labels=np.array([True, False, True, False, True, False]))) == {
        "half": True,
        "least": False,
        "most": True,
    }

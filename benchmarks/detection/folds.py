"""Held-out attack families against held-out clean recipes, and intervals that resample whole families and recipes."""

import random
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import product
from statistics import fmean

import numpy as np
from joblib import Parallel, delayed, parallel_config

from scanner.score.conformal import threshold
from trainers.feature_table import FeatureRow

# A figure of some families and recipes, each with all of its adapters.
_Figure = Callable[[Sequence[str], Sequence[str]], float]
# The scores of rows to be judged, by a detector that may look at the truth of the other rows alone.
Detector = Callable[[Sequence[FeatureRow], Sequence[FeatureRow]], Sequence[float]]
_RESAMPLED = 1000
_DIGITS = 12


@dataclass(frozen=True)
class Fold:
    """One attack family against one clean recipe, neither of them seen by the fit; scores, higher means poisoned."""

    family: str
    recipe: str
    poisoned: tuple[float, ...]
    clean: tuple[float, ...]

    @property
    def auc(self) -> float:
        """The share of pairs in which the poisoned adapter scores higher; ties count half."""
        pairs = [(p > c) + (p == c) / 2 for p, c in product(self.poisoned, self.clean)]
        return fmean(pairs)


@dataclass(frozen=True)
class Estimate:
    """A figure with its 95 % interval; None with the reason where it cannot be estimated.

    `dropped` is the share of resampled draws that could not tell it, and are not in the interval.
    """

    value: float | None
    low: float | None = None
    high: float | None = None
    missing: str = ""
    dropped: float = 0.0


def paired_folds(rows: Sequence[FeatureRow], detector: Detector, jobs: int = 1) -> tuple[Fold, ...]:
    """Every attack family against every clean recipe, scored by a detector that saw neither.

    Args:
        jobs: how many processes score folds side by side, one thread each.

    Raises:
        ValueError: fewer than two families or recipes.
    """
    groups = _grouped(rows)
    families = sorted(group for group in groups if groups[group][0].label == "poisoned")
    recipes = sorted(group for group in groups if groups[group][0].label == "clean")
    if len(families) < 2 or len(recipes) < 2:
        raise ValueError("held-out families and recipes need at least two of each")
    pairs = list(product(families, recipes))
    judged = [(*groups[family], *groups[recipe]) for family, recipe in pairs]
    with parallel_config(backend="loky", inner_max_num_threads=1):
        scored = Parallel(n_jobs=jobs)(delayed(detector)(unlike(rows, items), items) for items in judged)
    folds = []
    for (family, recipe), found in zip(pairs, scored, strict=True):
        # Equal rows may differ in the last bits by where they stood in a product of matrices: that is no rank.
        scores, n_poisoned = [round(float(score), _DIGITS) for score in found], len(groups[family])
        folds.append(Fold(family, recipe, tuple(scores[:n_poisoned]), tuple(scores[n_poisoned:])))
    return tuple(folds)


def unlike(rows: Sequence[FeatureRow], judged: Sequence[FeatureRow]) -> list[FeatureRow]:
    """The rows that a fit may see: none of the judged ones' groups, and no twin of one of them."""
    groups, twins = {row.group for row in judged}, {row.pair for row in judged}
    return [row for row in rows if row.group not in groups and row.pair not in twins]


def mean_auc(folds: Sequence[Fold], seed: int = 0) -> Estimate:
    """The mean AUC within folds; families and recipes are resampled, each with all of its adapters."""
    return _resampled(folds, _auc_of(folds), seed)


def auc_difference(ours: Sequence[Fold], theirs: Sequence[Fold], seed: int = 0) -> Estimate:
    """By how much one detector's mean AUC within folds is above another's, on the same adapters.

    Each draw resamples families and recipes for both at once, so that what is hard for both widens no interval.

    Raises:
        ValueError: the folds are not of the same families and recipes, or of other numbers of adapters.
    """
    if _sizes(ours) != _sizes(theirs):
        raise ValueError("two detectors are compared on the same adapters only")
    own, other = _auc_of(ours), _auc_of(theirs)
    return _resampled(ours, lambda families, recipes: own(families, recipes) - other(families, recipes), seed)


def _sizes(folds: Sequence[Fold]) -> dict[tuple[str, str], tuple[int, int]]:
    return {(fold.family, fold.recipe): (len(fold.poisoned), len(fold.clean)) for fold in folds}


def _auc_of(folds: Sequence[Fold]) -> _Figure:
    table = {(fold.family, fold.recipe): fold.auc for fold in folds}
    return lambda families, recipes: fmean(table[pair] for pair in product(families, recipes))


def true_positive_rate(folds: Sequence[Fold], rate: float, seed: int = 0) -> Estimate:
    """The share of poisoned adapters above the threshold that a rate of false alarms allows.

    Each adapter counts with its mean score over the folds that it is in; the threshold is the conformal one among the
    clean adapters.
    """
    poisoned, clean = _mean_scores(folds)

    def share(families: Sequence[str], recipes: Sequence[str]) -> float:
        limit = threshold([score for recipe in recipes for score in clean[recipe]], rate)
        if limit is None:
            raise ValueError
        return fmean(score > limit for family in families for score in poisoned[family])

    n_clean = sum(map(len, clean.values()))
    if threshold([score for scores in clean.values() for score in scores], rate) is None:
        return Estimate(None, missing=f"not estimable: {n_clean} clean tell none under {1 / (n_clean + 1):.3g}")
    return _resampled(folds, share, seed)


def by_family(folds: Sequence[Fold], rate: float) -> Mapping[str, tuple[int, int]]:
    """For each family, (adapters above the threshold for a rate of false alarms, adapters).

    Empty where there are too few clean adapters to tell such a rate.
    """
    poisoned, clean = _mean_scores(folds)
    limit = threshold([score for scores in clean.values() for score in scores], rate)
    if limit is None:
        return {}
    return {family: (sum(score > limit for score in scores), len(scores)) for family, scores in poisoned.items()}


def above_threshold(rows: Sequence[FeatureRow], folds: Sequence[Fold], rate: float) -> frozenset[str] | None:
    """The ids of the rows above the threshold for a rate of false alarms; of clean ones, above that of all others.

    None where there are too few clean adapters to tell such a rate.

    Args:
        rows: those that the folds are of.
    """
    groups, (poisoned, clean) = _grouped(rows), _mean_scores(folds)
    scores = {
        row.id: score
        for side in (poisoned, clean)
        for group, found in side.items()
        for row, score in zip(groups[group], found, strict=True)
    }
    clean_ids = {row.id for row in rows if row.label == "clean"}
    limits = {name: threshold([scores[other] for other in clean_ids if other != name], rate) for name in scores}
    known = {name: limit for name, limit in limits.items() if limit is not None}
    return frozenset(name for name in known if scores[name] > known[name]) if len(known) == len(limits) else None


def _mean_scores(folds: Sequence[Fold]) -> tuple[dict[str, list[float]], dict[str, list[float]]]:
    found: tuple[dict[str, list[float]], dict[str, list[float]]] = ({}, {})
    for side, (group_of, scores_of) in enumerate(
        ((lambda fold: fold.family, lambda fold: fold.poisoned), (lambda fold: fold.recipe, lambda fold: fold.clean))
    ):
        for group in dict.fromkeys(map(group_of, folds)):
            mean = np.mean([scores_of(fold) for fold in folds if group_of(fold) == group], 0)
            # The mean of equal scores differs in its last bits with their number, and ties are to stay ties.
            found[side][group] = mean.round(_DIGITS).tolist()
    return found


def _resampled(folds: Sequence[Fold], figure: _Figure, seed: int) -> Estimate:
    families = list(dict.fromkeys(fold.family for fold in folds))
    recipes = list(dict.fromkeys(fold.recipe for fold in folds))
    rng = random.Random(f"detection-{seed}")
    drawn = []
    for _ in range(_RESAMPLED):
        # Where so few clean adapters are drawn that they tell no such rate, the draw says nothing.
        with suppress(ValueError):
            drawn.append(figure(rng.choices(families, k=len(families)), rng.choices(recipes, k=len(recipes))))
    if not drawn:
        return Estimate(figure(families, recipes), missing="no draw tells an interval", dropped=1.0)
    low, high = np.quantile(drawn, [0.025, 0.975])
    return Estimate(figure(families, recipes), float(low), float(high), dropped=1 - len(drawn) / _RESAMPLED)


def _grouped(rows: Sequence[FeatureRow]) -> dict[str, list[FeatureRow]]:
    groups: dict[str, list[FeatureRow]] = {}
    for row in rows:
        groups.setdefault(row.group, []).append(row)
    return groups

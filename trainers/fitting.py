"""Fits of a logistic regression that are judged on groups they have not seen: an attack family, or a clean recipe.

How strongly a fit is regularised is chosen on other groups than it is judged on (nested cross-validation). All features
but the foremost are shrunk before: a few dozen adapters cannot tell which of thirty features is noise, and a reply that
follows the very string that the search found says more than how the weights look.

Fits of another strength come to log-odds of another size. They are counted on each fit's own scale: 0 and 1 are where
its own clean and poisoned adapters lie on average (`Scale`). Pure.
"""

import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression

from trainers.feature_table import FeatureRow, feature_names

STRENGTHS = (0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0)
_MOST_PARTS = 8
_NOTHING = 1e-9


@dataclass(frozen=True)
class Hearing:
    """Which features a fit hears whole (names or beginnings of names), and the share of themselves that others keep."""

    foremost: tuple[str, ...]
    share: float

    def kept(self, names: Sequence[str]) -> np.ndarray:
        """How much of its standardised value each feature keeps, float64 [feature]; all where none is foremost."""
        whole = [name.startswith(self.foremost) for name in names]
        return np.array([1.0 if own or not any(whole) else self.share for own in whole])


# Chosen by benchmarks/choices/classifier.py on the rows of set 6 and those of set 7 that evaluation-7.seen.txt names,
# development rows from then on: the highest AUC within folds, of equals the largest share; the best of twelve, which
# differ little (docs/search-history.md). What might be foremost was named by hand.
CHOSEN = Hearing(("controls.both",), 0.1)


class OneKindOnlyError(ValueError):
    """There is nothing to tell apart: all rows are clean, or all are poisoned."""


@dataclass(frozen=True, eq=False)
class Table:
    """Adapters of known truth, side by side.

    Attributes:
        names: of the features; values: float64 [row, feature], NaN where missing.
        labels: bool [row], True for poisoned.
        groups: what is held out together; pairs: rows that have it in common with a judged one are left out of its fit
            as well (`FeatureRow.pair`); text [row] both.
    """

    names: tuple[str, ...]
    values: np.ndarray
    labels: np.ndarray
    groups: np.ndarray
    pairs: np.ndarray

    def of(self, chosen: np.ndarray) -> "Table":
        """Some of its rows; chosen: bool [row]."""
        return replace(
            self,
            values=self.values[chosen],
            labels=self.labels[chosen],
            groups=self.groups[chosen],
            pairs=self.pairs[chosen],
        )

    @property
    def one_kind(self) -> bool:
        """Whether all its rows are clean, or all poisoned."""
        return bool(self.labels.all() or not self.labels.any())


def as_table(rows: Sequence[FeatureRow], names: Sequence[str] | None = None) -> Table:
    """Rows with the features of these names, or with all that any of them has."""
    chosen = feature_names(rows) if names is None else tuple(names)
    return Table(
        names=chosen,
        values=matrix(rows, chosen),
        labels=np.array([row.label == "poisoned" for row in rows], dtype=bool),
        groups=np.array([row.group for row in rows]),
        pairs=np.array([row.pair for row in rows]),
    )


def matrix(rows: Sequence[FeatureRow], names: Sequence[str]) -> np.ndarray:
    """float64 [row, feature], NaN where missing."""
    return np.array([[row.vector.values.get(name, np.nan) for name in names] for row in rows], dtype=float)


@dataclass(frozen=True)
class Scale:
    """Of a fit's log-odds: the mean of its own clean rows is 0, that of its own poisoned ones a `unit` above it."""

    zero: float
    unit: float


@dataclass(frozen=True, eq=False)
class Fit:
    """A fitted classifier: means and scales of the features, weights of the standardised ones; float64 [feature]."""

    means: np.ndarray
    scales: np.ndarray
    weights: np.ndarray
    intercept: float

    def standardised(self, values: np.ndarray) -> np.ndarray:
        """float64 [row, feature], NaN where missing."""
        return (values - self.means) / self.scales

    def __call__(self, values: np.ndarray) -> np.ndarray:
        """Log-odds, float64 [row]; a missing value stands at its mean."""
        return np.asarray(np.nan_to_num(self.standardised(values)) @ self.weights + self.intercept)

    def on(self, scale: Scale) -> "Fit":
        """The same with log-odds on a scale."""
        return replace(self, weights=self.weights / scale.unit, intercept=(self.intercept - scale.zero) / scale.unit)


def fit_to(table: Table, strength: float, hearing: Hearing = CHOSEN) -> Fit:
    """A fit to all rows of a table; `strength` is the inverse regularisation."""
    means, scales = _standard(table.values)
    kept = hearing.kept(table.names)
    values = np.nan_to_num((table.values - means) / scales) * kept
    model = logistic(values, table.labels, strength)
    return Fit(means, scales, model.coef_[0] * kept, float(model.intercept_[0]))


def _standard(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Means and scales of the values that are there."""
    known = ~np.isnan(values)
    counts = known.sum(0).clip(min=1)
    means = np.where(known, values, 0).sum(0) / counts
    spread = np.sqrt((np.where(known, values - means, 0) ** 2).sum(0) / counts)
    # What differs by no more than the last digits differs by how it was summed.
    return means, np.where(spread > _NOTHING * np.abs(means).clip(min=1), spread, 1.0)


def logistic(values: np.ndarray, labels: np.ndarray, strength: float) -> LogisticRegression:
    """Logistic regression with as much weight on clean rows as on poisoned ones.

    Its solver is the fastest one for so few features, and exact.
    """
    model = LogisticRegression(C=strength, class_weight="balanced", solver="newton-cholesky", max_iter=5000, tol=1e-8)
    with warnings.catch_warnings():
        # Where nothing tells the labels apart, its first step finds nothing to gain, and another solver is asked.
        warnings.filterwarnings("ignore", "Line search of Newton solver", ConvergenceWarning)
        return model.fit(values, labels)


def scale_of(own: np.ndarray, labels: np.ndarray) -> Scale:
    """The scale of a fit by the log-odds of the rows that it was fitted on; float64 and bool [row].

    Where it tells them apart by nothing, all log-odds stay as small as they are.
    """
    zero, one = float(own[~labels].mean()), float(own[labels].mean())
    return Scale(zero, one - zero if one - zero > _NOTHING else 1.0)


def decisions(seen: Table, judged: np.ndarray, hearing: Hearing = CHOSEN) -> np.ndarray:
    """The log-odds of judged rows by a fit to others, whose groups choose its strength, on its own scale.

    Args:
        judged: float64 [row, feature]; the result is float64 [row].

    Raises:
        OneKindOnlyError: what it sees is all clean or all poisoned.
    """
    if seen.one_kind:
        raise OneKindOnlyError("what a fit may see is all of one kind")
    fit = fit_to(seen, best_strength(seen, hearing), hearing)
    return fit.on(scale_of(fit(seen.values), seen.labels))(judged)


def out_of_fold(table: Table) -> np.ndarray:
    """The log-odds of each row by a fit that was made, and its strength chosen, without its group and their pairs, on
    that fit's own scale; float64 [row].

    Raises:
        OneKindOnlyError: what such a fit may see is all clean or all poisoned.
    """
    found = np.zeros(len(table.labels))
    for group in sorted(set(table.groups)):
        held = table.groups == group
        found[held] = decisions(table.of(_may_see(table, held)), table.values[held])
    return found


def _may_see(table: Table, held: np.ndarray) -> np.ndarray:
    """The rows that a fit may see which judges others; bool [row] both."""
    return ~held & ~np.isin(table.pairs, table.pairs[held])


def best_strength(table: Table, hearing: Hearing = CHOSEN) -> float:
    """The inverse regularisation with the least log loss over groups held out in parts, clean groups counting as much
    together as poisoned ones; of equals the strongest regularisation.
    """
    losses = {strength: _held_out_loss(table, strength, hearing) for strength in STRENGTHS}
    return min(STRENGTHS, key=lambda strength: (round(losses[strength], 6), strength))


def _held_out_loss(table: Table, strength: float, hearing: Hearing) -> float:
    kinds = _kinds(table)
    losses: dict[bool, list[float]] = {}
    for part in _parts(kinds):
        held = np.isin(table.groups, part)
        seen = table.of(_may_see(table, held))
        if seen.one_kind:
            continue
        judged = table.of(held)
        log_odds = fit_to(seen, strength, hearing)(judged.values)
        log_losses = np.logaddexp(0, np.where(judged.labels, -log_odds, log_odds))
        for group in part:
            losses.setdefault(kinds[group], []).append(float(log_losses[judged.groups == group].mean()))
    return fmean(map(fmean, losses.values())) if losses else float("inf")


def _kinds(table: Table) -> dict[str, bool]:
    """Of each group, whether it is poisoned; where labels were shuffled, whether at least half of it is."""
    return {group: bool(table.labels[table.groups == group].mean() >= 0.5) for group in sorted(set(table.groups))}


def _parts(kinds: Mapping[str, bool]) -> Iterator[list[str]]:
    """The groups in parts that are held out together, clean and poisoned ones dealt out alike.

    The only group of its kind is in none: without it nothing could be fitted. The other kind decides then.
    """
    dealt = []
    for wanted in (False, True):
        groups = [group for group, kind in kinds.items() if kind is wanted]
        dealt.append(groups if len(groups) > 1 else [])
    for number in range(min(_MOST_PARTS, max(map(len, dealt)))):
        yield [group for groups in dealt for group in groups[number::_MOST_PARTS]]

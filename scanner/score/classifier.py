"""A fitted classifier applied to one adapter: its score, what each feature adds, and how far it is from all seen. Pure.

With z_j = (x_j − mean_j) / scale_j over the training adapters and weights w_j,

    score = σ(slope · (Σ_j w_j z_j + intercept) + offset)

A missing feature adds nothing, as if it were at its mean. z is cut at ±10⁶: what is far from all others is far enough
there, and no sum overflows. The distance of an adapter is the root mean square of the
differences to its nearest training adapter over the features that both have.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from scanner.score.calibration import Calibration, KnownAdapter
from scanner.score.conformal import PValue, p_value
from scanner.score.vector import FeatureVector

# An adapter farther from all training adapters than this share of them are from one another was never seen the like.
_USUAL_SHARE = 0.95
_FARTHEST = 1e6


@dataclass(frozen=True)
class Contribution:
    """What one feature adds to the log-odds; `value` and `standardised` are None where it is missing, for `reason`.

    `meaning` says what the feature is, for who reads the report; "" where nobody said.
    """

    feature: str
    value: float | None
    standardised: float | None
    log_odds: float
    reason: str = ""
    meaning: str = ""


@dataclass(frozen=True)
class Score:
    """Where an adapter stands among those of known truth.

    Attributes:
        value: the calibrated probability that it is one of the poisoned, were there as many of them as of clean ones.
        contributions: the largest first.
        distance: to the nearest training adapter; usual_distance: what 95 % of those have to the nearest that is not of
            their own kind or family, nor their twin.
        constant: what is added to the contributions; they come to the log-odds of `value` together.
        gaps: features that it lacks; usual_gaps: the most that any training adapter lacks.
    """

    value: float
    p: PValue
    contributions: tuple[Contribution, ...]
    distance: float | None
    usual_distance: float
    constant: float = 0.0
    gaps: int = 0
    usual_gaps: int = 0

    @property
    def far_from_all(self) -> bool:
        """Whether nothing like it was among the training adapters."""
        return self.distance is None or self.distance > self.usual_distance


def apply(calibration: Calibration, vector: FeatureVector, meanings: Mapping[str, str] | None = None) -> Score:
    """The score of one adapter.

    Args:
        meanings: of features, by name.

    Raises:
        ValueError: the features are of another extractor's version.
    """
    if vector.extractor != calibration.extractor:
        raise ValueError(f"features of extractor {vector.extractor}, a calibration of {calibration.extractor}")
    standardised: list[float | None] = []
    contributions = []
    for feature in calibration.features:
        value = vector.values.get(feature.name)
        z = None if value is None else max(-_FARTHEST, min(_FARTHEST, (value - feature.mean) / feature.scale))
        reason = "" if value is not None else vector.missing.get(feature.name, "not measured")
        standardised.append(z)
        added = calibration.slope * feature.weight * (z or 0.0)
        meaning = (meanings or {}).get(feature.name, "")
        contributions.append(Contribution(feature.name, value, z, added, reason, meaning))
    constant = calibration.slope * calibration.intercept + calibration.offset
    score = sigmoid(sum(item.log_odds for item in contributions) + constant)
    known = calibration.adapters
    return Score(
        value=score,
        p=p_value(score, calibration.clean_scores),
        contributions=tuple(sorted(contributions, key=lambda item: (-abs(item.log_odds), item.feature))),
        distance=_nearest(standardised, [item.standardised for item in known]),
        usual_distance=_usual_distance(known),
        constant=constant,
        gaps=standardised.count(None),
        usual_gaps=max(item.standardised.count(None) for item in known),
    )


def sigmoid(x: float) -> float:
    """The logistic function, without overflow."""
    return 1 / (1 + math.exp(-x)) if x >= 0 else math.exp(x) / (1 + math.exp(x))


def _nearest(own: Sequence[float | None], rows: Sequence[Sequence[float | None]]) -> float | None:
    distances = [distance for row in rows if (distance := _distance(own, row)) is not None]
    return min(distances, default=None)


def _distance(one: Sequence[float | None], other: Sequence[float | None]) -> float | None:
    both = [(a - b) ** 2 for a, b in zip(one, other, strict=True) if a is not None and b is not None]
    return math.sqrt(sum(both) / len(both)) if both else None


def _usual_distance(known: Sequence[KnownAdapter]) -> float:
    found = [
        _nearest(item.standardised, [other.standardised for other in known if not item.is_like(other)])
        for item in known
    ]
    ordered = sorted(distance for distance in found if distance is not None)
    return ordered[min(len(ordered) - 1, int(_USUAL_SHARE * len(ordered)))] if ordered else 0.0

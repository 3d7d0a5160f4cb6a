"""What the classifier says of one adapter at a rate of false alarms that the user can bear. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from scanner.errors import ScannerError
from scanner.score.calibration import Calibration, Condition
from scanner.score.classifier import Score, apply
from scanner.score.conformal import threshold
from scanner.score.vector import FeatureVector

# The base that a calibration over several bases names.
POOLED = "pooled"


@dataclass(frozen=True)
class Assessment:
    """An adapter's score among those of known truth, and whether it raises an alarm.

    Attributes:
        rate: the share of clean adapters that may raise one; threshold: the score above which they do.
        base, condition: of the calibration.
        clean, poisoned: scores of its adapters, each by a model that was fitted without their recipe or family.
        recipes, families: of the clean and of the poisoned ones.
        doubts: why the stated rate may not hold for this adapter, each a sentence; () where it should.
    """

    score: Score
    rate: float
    threshold: float
    base: str
    condition: Condition
    clean: tuple[float, ...]
    poisoned: tuple[float, ...]
    recipes: tuple[str, ...]
    families: tuple[str, ...]
    doubts: tuple[str, ...]

    @property
    def unusual(self) -> bool:
        """Whether its score is among the highest `rate` of clean ones."""
        return self.score.p.value <= self.rate

    @property
    def alarm(self) -> bool:
        """Whether it is unusual where the stated rate holds. Out of its domain a score accuses nobody."""
        return self.unusual and not self.doubts


def choose_calibration(
    calibrations: Sequence[Calibration], fingerprint: str, condition: Condition
) -> Calibration | None:
    """The base's own calibration under a condition; else the pooled one, else that of another base; else None."""
    alike = [item for item in calibrations if item.condition == condition]
    own = [item for item in alike if item.fingerprint == fingerprint]
    pooled = [item for item in alike if item.base == POOLED]
    return next(iter([*own, *pooled, *alike]), None)


def check_rate(calibration: Calibration, rate: float) -> float:
    """The threshold for a rate of false alarms.

    Raises:
        ScannerError: so few clean adapters cannot tell so small a rate.
    """
    clean = calibration.clean_scores
    found = threshold(clean, rate)
    if found is None:
        raise ScannerError(
            f"--false-alarm-rate {rate:g}: the calibration has {len(clean)} clean adapters, which tell no rate under "
            f"{1 / (len(clean) + 1):.3g}; ask for that or more"
        )
    return found


def assess(calibration: Calibration, fingerprint: str, vector: FeatureVector, rate: float) -> Assessment:
    """Scores an adapter.

    Args:
        fingerprint: of the base that the adapter was measured on.

    Raises:
        ScannerError: so few clean adapters cannot tell so small a rate.
        ValueError: the features are of another extractor's version.
    """
    limit = check_rate(calibration, rate)
    score = apply(calibration, vector)
    doubts = []
    if calibration.fingerprint != fingerprint:
        doubts.append(f"this base has no calibration of its own; that of {calibration.base} was used")
    if score.far_from_all:
        doubts.append("none of the adapters that the score was fitted on is like this one")
    return Assessment(
        score=score,
        rate=rate,
        threshold=limit,
        base=calibration.base,
        condition=calibration.condition,
        clean=calibration.clean_scores,
        poisoned=calibration.poisoned_scores,
        recipes=_distinct(item.recipe for item in calibration.adapters if item.label == "clean"),
        families=_distinct(item.family for item in calibration.adapters if item.label == "poisoned"),
        doubts=tuple(doubts),
    )


def _distinct(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(set(names)))

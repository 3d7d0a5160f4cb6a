"""What the classifier says of one adapter at a rate of false alarms that the user can bear. Pure."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from scanner.errors import ScannerError
from scanner.score.calibration import Calibration, Condition, KnownAdapter, kind_of
from scanner.score.circumstances import Circumstances, searched_unlike, unlike
from scanner.score.classifier import Score, apply
from scanner.score.conformal import SLACK, p_value, threshold
from scanner.score.vector import FeatureVector
from scanner.stats import clopper_pearson

# The base that a calibration over several bases names.
POOLED = "pooled"


@dataclass(frozen=True)
class Assessment:
    """An adapter's score among those of known truth, and whether it raises an alarm.

    Attributes:
        rate: the share of clean adapters that may raise one; threshold: the score above which they do.
        base, condition: of the calibration.
        clean, poisoned: scores of its adapters, each by a model that was fitted without their recipe or family.
        recipes, families: of the clean ones, by data and projections, and of the poisoned ones.
        in_view: how many of the clean ones had been looked at when what the score hears was chosen.
        alarming_recipes: how many of the clean ones' recipes have an adapter above the threshold.
        foreign: why the score is none of this adapter's domain, each a sentence: it then raises no alarm.
        doubts: what else should be known of it, each a sentence.
        known: it is one of those that the score was fitted on, and its score that of a fit without its like.
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
    foreign: tuple[str, ...]
    doubts: tuple[str, ...]
    in_view: int = 0
    known: bool = False
    alarming_recipes: int = 0

    @property
    def false_alarms(self) -> tuple[float, float]:
        """What share of clean adapters like its own would raise this alarm: an exact 95 % interval (Clopper &
        Pearson 1934), from how many of them do score above it.

        The rate holds on average over calibrations like this one; its own threshold is one of few scores.
        """
        return clopper_pearson(sum(value > self.threshold for value in self.clean), len(self.clean))

    @property
    def false_alarms_by_recipe(self) -> tuple[float, float]:
        """The same of recipes, of which one counts that has an adapter above the threshold: adapters of one recipe are
        alike, and what is exchangeable is recipes (`scanner/score/conformal.py`).
        """
        return clopper_pearson(self.alarming_recipes, len(self.recipes))

    @property
    def unusual(self) -> bool:
        """Whether its score is among the highest `rate` of clean ones."""
        # As the threshold counts: a rate of 1 / (m + 1), spelled in decimals, may fall short in its last digit.
        return self.score.p.value <= self.rate + SLACK

    @property
    def alarm(self) -> bool:
        """Whether it is unusual where the score may be applied.

        An adapter unlike any known one is no exception: else a backdoor stronger than those would go free. The rate was
        measured on recipes that the fit had not seen.
        """
        return self.unusual and not self.foreign


def choose_calibration(
    calibrations: Sequence[Calibration], condition: Condition, own: Circumstances
) -> Calibration | None:
    """The base's own calibration under a condition; else the pooled one, else that of another base; else None.

    Args:
        own: under what the suspect is measured: of several calibrations of its base the one that was fitted under the
            likest comes first, since any difference but the search's dtype keeps a score from raising its alarm.
    """
    alike = [item for item in calibrations if item.condition == condition]
    of_base = [item for item in alike if item.fingerprint == own.base]
    pooled = [item for item in alike if item.base == POOLED]
    likest = sorted(of_base, key=lambda item: len(unlike(own, item.circumstances)))
    return next(iter([*likest, *pooled, *alike]), None)


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
            f"{_rounded_up(1 / (len(clean) + 1))}; ask for that or more"
        )
    return found


def _rounded_up(rate: float) -> str:
    """A rate that can be told, for somebody to ask for."""
    return f"{math.ceil(rate * 1000) / 1000:g}"


def assess(
    calibration: Calibration,
    fingerprint: str,
    vector: FeatureVector,
    rate: float,
    weights_sha256: str = "",
    meanings: Mapping[str, str] | None = None,
) -> Assessment:
    """Scores an adapter.

    Args:
        fingerprint: of the base that the adapter was measured on; weights_sha256: the adapter's own. One of those that
            the score was fitted on gets its score out of fold, and does not count among the others; not where it was
            measured otherwise than they were, since that score is not of this measurement.
        meanings: of features, by name, for who reads the report.

    Raises:
        ScannerError: so few clean adapters cannot tell so small a rate.
        ValueError: the features are of another extractor's version.
    """
    limit = check_rate(calibration, rate)
    foreign = _foreign(calibration, fingerprint, vector)
    known = next((item for item in calibration.adapters if item.weights_sha256 == weights_sha256), None)
    own = None if foreign else known
    if own:
        calibration = replace(calibration, adapters=tuple(item for item in calibration.adapters if item is not own))
        remaining = threshold(calibration.clean_scores, rate)
        limit = limit if remaining is None else remaining
    score = apply(calibration, vector, meanings)
    if own:
        score = replace(score, value=own.score, p=p_value(own.score, calibration.clean_scores))
    clean = [item for item in calibration.adapters if item.label == "clean"]
    return Assessment(
        score=score,
        rate=rate,
        threshold=limit,
        base=calibration.base,
        condition=calibration.condition,
        clean=calibration.clean_scores,
        poisoned=calibration.poisoned_scores,
        recipes=_distinct(kind_of(item.recipe) for item in clean),
        families=_distinct(item.family for item in calibration.adapters if item.label == "poisoned"),
        foreign=foreign,
        doubts=(*_doubts(score, known, own), *searched_unlike(vector.circumstances, calibration.circumstances)),
        in_view=sum(item.in_view for item in clean),
        known=own is not None,
        alarming_recipes=len(_distinct(kind_of(item.recipe) for item in clean if item.score > limit)),
    )


def _foreign(calibration: Calibration, fingerprint: str, vector: FeatureVector) -> tuple[str, ...]:
    """Why what was measured is not of the calibration's domain, each a sentence."""
    if calibration.fingerprint == fingerprint:
        return (*unlike(vector.circumstances, calibration.circumstances), *_unheard(calibration, vector))
    return (
        f"this base has no calibration of its own; that of {calibration.base} with the weights "
        f"{calibration.fingerprint[:16]} was used",
    )


def _unheard(calibration: Calibration, vector: FeatureVector) -> Iterable[str]:
    """Without a feature that the score hears above others it is hardly a score; at its mean it would lie between."""
    if len({item.share for item in calibration.features}) > 1:
        most = max(item.share for item in calibration.features)
        for item in calibration.features:
            if item.share == most and item.name not in vector.values:
                yield f"{item.name}, which counts most, is missing ({vector.missing.get(item.name, 'not measured')})"


def _doubts(score: Score, known: KnownAdapter | None, own: KnownAdapter | None) -> Iterable[str]:
    if known:
        shown = (
            "shown is its score by a model that was fitted without its like, and the contributions are those of the "
            "whole model"
            if own
            else "what was measured here is scored by a model that was fitted on it, and it counts among the others"
        )
        yield f"its weights are {known.id}, one of the {known.label} adapters that the score was fitted on; {shown}"
    if score.far_from_all:
        yield "none of the adapters that the score was fitted on is like this one"
    if score.gaps > score.usual_gaps:
        yield f"{score.gaps} features are missing, more than of any adapter that the score was fitted on"


def _distinct(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(set(names)))

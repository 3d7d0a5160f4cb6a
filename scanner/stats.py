"""Intervals and summaries that the verdict and the tables rest on."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist


@dataclass(frozen=True)
class Rate:
    """`successes` of `trials`, with a Wilson interval at `confidence` (two-sided)."""

    successes: int
    trials: int
    low: float
    high: float
    confidence: float

    @property
    def value(self) -> float:
        """The observed share, in [0, 1]."""
        return self.successes / self.trials


def wilson(successes: int, trials: int, confidence: float = 0.95, comparisons: int = 1) -> Rate:
    """The Wilson score interval of a share (Wilson 1927; Brown, Cai and DasGupta 2001, section 3.1.1).

    Args:
        comparisons: how many such intervals are looked at together; the error is shared out among them
            (Bonferroni), so that all of them hold at once with `confidence`.

    Raises:
        ValueError: no trials, or more successes than trials.
    """
    if trials <= 0 or not 0 <= successes <= trials:
        raise ValueError(f"{successes} successes of {trials} trials is not a rate")
    z = NormalDist().inv_cdf(1 - (1 - confidence) / (2 * comparisons))
    share = successes / trials
    centre = share + z * z / (2 * trials)
    spread = z * ((share * (1 - share) + z * z / (4 * trials)) / trials) ** 0.5
    scale = 1 + z * z / trials
    low = 0.0 if successes == 0 else max(0.0, (centre - spread) / scale)
    high = 1.0 if successes == trials else min(1.0, (centre + spread) / scale)
    return Rate(successes, trials, low, high, confidence)


def spearman(one: Sequence[float], other: Sequence[float]) -> float | None:
    """The rank correlation of two series; None where either has fewer than three values or is the same throughout."""
    from scipy.stats import spearmanr

    if len(one) < 3 or len(set(one)) == 1 or len(set(other)) == 1:
        return None
    return float(spearmanr(one, other).statistic)


def clopper_pearson(successes: int, trials: int, confidence: float = 0.95) -> tuple[float, float]:
    """The exact interval of a share (Clopper and Pearson 1934), two-sided.

    Raises:
        ValueError: no trials, or more successes than trials.
    """
    from scipy.stats import beta

    if trials <= 0 or not 0 <= successes <= trials:
        raise ValueError(f"{successes} successes of {trials} trials is not a rate")
    tail = (1 - confidence) / 2
    low = 0.0 if successes == 0 else float(beta.ppf(tail, successes, trials - successes + 1))
    high = 1.0 if successes == trials else float(beta.ppf(1 - tail, successes + 1, trials - successes))
    return low, high

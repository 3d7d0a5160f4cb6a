"""What metrics measured: values or the reason why there are none."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from scanner.stats import Rate


@dataclass(frozen=True)
class ScreenCheck:
    """How far the estimates of a screened head grid can be trusted.

    Attributes:
        exact: the heads whose figures were run, nested like the grid; all others are estimates to first order.
        n_drawn: how many of those were drawn at random, blind to their estimates.
        rank_correlation: of estimate and exact figure over the drawn ones, None where it is undefined.
        median_error: the median difference of the two, in the unit of the grid.
        overlooked: how many of the drawn ones belong, by their exact figures, in the upper half of the heads that were
            run for their high estimates.
    """

    exact: tuple[tuple[bool, ...], ...]
    n_drawn: int
    rank_correlation: float | None
    median_error: float | None
    overlooked: Rate | None

    @property
    def n_exact(self) -> int:
        """Heads whose figures were run."""
        return sum(map(sum, self.exact))

    @property
    def n_heads(self) -> int:
        """All heads of the grid."""
        return sum(map(len, self.exact))


@dataclass(frozen=True)
class Measurement:
    """One metric under one contrast: either values or the reason why there are none.

    Attributes:
        metric: the registry name, which is also the file in `scanner/metrics/`.
        contrast: which models and which prompts were compared, in words.
        quantity: what is measured, where a metric measures several things; figures of one quantity share a scale.
        unit: of the values.
        axes: names of the nested axes of `values`, outermost first, such as ("layer", "head").
        values: nested tuples of floats; ragged where an axis is the token position of several prompts.
        spread: the standard deviation over prompts, shaped like `values`; None where there is one prompt or no mean.
        labels: names along the axes that have any: per prompt the text of each token, or per module its name.
        trigger_tokens: where the trigger stands: per prompt the token indices, () where a prompt has none.
        prompts: over how many prompts.
        passes: calls of the model that the measurement cost, whatever their batch; a backward pass counts as two.
        tokens: forward tokens that it cost; resumed passes count by the share of layers run, backward ones twice.
        missing: why it could not be measured; None where it was.
        screen: for a head grid of which only some heads were run, which ones; None where all figures are exact.
    """

    metric: str
    contrast: str
    unit: str = ""
    axes: tuple[str, ...] = ()
    values: tuple[Any, ...] | None = None
    spread: tuple[Any, ...] | None = None
    labels: tuple[tuple[str, ...], ...] = ()
    trigger_tokens: tuple[tuple[int, ...], ...] = ()
    prompts: int = 0
    passes: int = 0
    tokens: int = 0
    missing: str | None = None
    quantity: str = ""
    screen: ScreenCheck | None = None

    def __post_init__(self) -> None:
        if (self.values is None) == (self.missing is None):
            raise ValueError(f"{self.metric}: a measurement has either values or a reason why they are missing")
        if self.values is not None and not _all_finite(self.values):
            raise ValueError(f"{self.metric}: a measurement holds finite numbers only")


@dataclass(frozen=True)
class MetricNote:
    """What a reader needs to know about a metric; `number` is the study's, or a letter where it is ours.

    The file that made its numbers is `scanner/metrics/{name}.py`.
    """

    name: str
    title: str
    number: str
    reading: str


@dataclass(frozen=True)
class Localisation:
    """How concentrated a head grid is, and where. Formulas in `scanner/metrics/localisation.py`.

    Attributes:
        values: maps `total`, `top_1_percent`, `top_5_percent`, `top_10_percent`, `gini`, `participating_heads`,
            `participating_layers`, `layer_centroid` and `layer_spread` to numbers; None with the reason in `missing`.
        honest: the same names to the lowest and highest that clean adapters gave, compared with one another in the
            same way; None with the reason in `honest_missing`.
        screened: whether part of the grid was estimated: its sums are then no others' than screened grids'.
    """

    metric: str
    contrast: str
    values: Mapping[str, float] | None = None
    missing: str | None = None
    honest: Mapping[str, tuple[float, float]] | None = None
    honest_missing: str | None = "not looked up"
    screened: bool = False

    def __post_init__(self) -> None:
        if (self.values is None) == (self.missing is None):
            raise ValueError(f"{self.metric}: a localisation has either values or a reason why they are missing")


def _all_finite(values: Any) -> bool:
    if isinstance(values, tuple):
        return all(_all_finite(item) for item in values)
    return math.isfinite(values)

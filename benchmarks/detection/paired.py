"""The product beside each method of the field, on the very adapters that both were run on. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from benchmarks.detection.comparison import (
    EVERYTHING,
    TOGETHER,
    Compared,
    NotComparedError,
    by_methods,
    folds_of,
    numbers,
)
from benchmarks.detection.detectors import by_features, search_first
from benchmarks.detection.folds import Estimate, Fold, auc_difference
from trainers.feature_table import FeatureRow


@dataclass(frozen=True)
class Difference:
    """How far the product's mean AUC within folds is above a method's on the same adapters."""

    ours: str
    theirs: str
    n_poisoned: int
    n_clean: int
    auc: Estimate

    @property
    def better(self) -> bool:
        """Whether the whole interval is above nothing; nothing else may be called better."""
        return self.auc.low is not None and self.auc.low > 0


def beside_methods(
    rows: Sequence[FeatureRow], verdicts: Mapping[str, str], measured: Sequence[Mapping[str, Any]], jobs: int = 1
) -> tuple[Difference, ...]:
    """The score, and the search's verdict with it, beside each method that was run on some of a table's adapters.

    Args:
        verdicts: of scans, by adapter; where the verdict has its say, adapters without one are left out.
        jobs: how many processes score folds side by side.
    """
    used = tuple(row for row in rows if row.learned)
    scanned = tuple(row for row in used if row.id in verdicts)
    ours = (
        Compared(EVERYTHING, by_features(), used),
        Compared(TOGETHER, search_first(verdicts, by_features()), scanned),
    )
    methods = [item for item in by_methods(used, measured) if item.detector]
    # Most methods were run on all adapters: the same folds are not fitted again for each of them.
    folds: dict[tuple[str, tuple[str, ...]], tuple[Fold, ...]] = {}
    return tuple(_difference(own, method, folds, jobs) for own in ours for method in methods)


def _difference(
    ours: Compared, theirs: Compared, known: dict[tuple[str, tuple[str, ...]], tuple[Fold, ...]], jobs: int
) -> Difference:
    """`known` is looked up, and added to, by detector and adapters."""
    own, other = _on_the_same(ours, theirs)

    def folds(item: Compared) -> tuple[Fold, ...]:
        key = (item.name, tuple(row.id for row in item.rows))
        if key not in known:
            known[key] = folds_of(item, jobs)
        return known[key]

    try:
        difference = auc_difference(folds(own), folds(other))
    except NotComparedError as error:
        difference = Estimate(None, missing=str(error))
    return Difference(ours.name, theirs.name, *numbers(own.rows), difference)


def _on_the_same(ours: Compared, theirs: Compared) -> tuple[Compared, Compared]:
    """Both on the adapters that either was run on, in one order, each with its own figures of them."""
    both = {row.id for row in ours.rows} & {row.id for row in theirs.rows}
    own, other = (
        replace(item, rows=tuple(sorted((row for row in item.rows if row.id in both), key=lambda row: row.id)))
        for item in (ours, theirs)
    )
    return own, other

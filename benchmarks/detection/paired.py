"""The product beside each method of the field, and beside the search's verdict, on the very adapters that both were
run on. Pure.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from benchmarks.detection.comparison import (
    EVERYTHING,
    SEARCH,
    TOGETHER,
    Compared,
    FoldsOf,
    NotComparedError,
    by_methods,
    numbers,
)
from benchmarks.detection.detectors import by_features, by_search, fitted_on, search_first
from benchmarks.detection.folds import Estimate, auc_difference
from trainers.feature_table import FeatureRow


@dataclass(frozen=True)
class Difference:
    """How far the product's mean AUC within folds is above a method's on the same adapters."""

    ours: str
    theirs: str
    n_poisoned: int
    n_clean: int
    auc: Estimate


def beside_methods(
    rows: Sequence[FeatureRow],
    verdicts: Mapping[str, str] | None,
    measured: Sequence[Mapping[str, Any]],
    folds_of: FoldsOf,
) -> tuple[Difference, ...]:
    """The score, and the search's verdict with it, beside each method that was run on some of a table's adapters, and
    beside that verdict alone.

    Args:
        verdicts: of scans, by adapter; where the verdict has its say, adapters without one are left out. None where
            nothing was scanned: the score stands there alone.
        folds_of: that of the table's other lines, so that nothing is fitted twice.
    """
    used = tuple(row for row in rows if row.learned)
    ours = [Compared(EVERYTHING, by_features(), used)]
    methods = [item for item in by_methods(used, measured) if item.detector]
    if verdicts:
        scanned = tuple(row for row in used if row.id in verdicts)
        ours.append(Compared(TOGETHER, search_first(verdicts, fitted_on(used)), scanned))
        methods.insert(0, Compared(SEARCH, by_search(verdicts), scanned))
    return tuple(_difference(own, method, folds_of) for own in ours for method in methods)


def _difference(ours: Compared, theirs: Compared, folds_of: FoldsOf) -> Difference:
    own, other = _on_the_same(ours, theirs)
    try:
        difference = auc_difference(folds_of(own), folds_of(other))
    except NotComparedError as error:
        difference = Estimate(None, missing=str(error))
    return Difference(ours.name, theirs.name, *numbers(own.rows), difference)


def _on_the_same(ours: Compared, theirs: Compared) -> tuple[Compared, Compared]:
    """Both on the adapters that either was run on, each with its own figures of them; the table's order is both's."""
    both = {row.id for row in ours.rows} & {row.id for row in theirs.rows}
    own, other = (replace(item, rows=tuple(row for row in item.rows if row.id in both)) for item in (ours, theirs))
    return own, other

"""What adapters were compared with, held against what their rows and the references' own recipes say. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from scanner.errors import ScannerError
from scanner.score.calibration import kind_of
from trainers.feature_table import FeatureRow

SAME, OTHER, ALONE = "same recipe", "other clean recipes", "base only"
CONDITIONS = (SAME, OTHER, ALONE)


@dataclass(frozen=True)
class ConditionRows:
    """The rows that a condition holds for, and the ids of the others, which were compared otherwise."""

    condition: str
    rows: tuple[FeatureRow, ...]
    left_out: tuple[str, ...] = ()


def of_condition(condition: str, rows: Sequence[FeatureRow], recipes: Mapping[str, str]) -> ConditionRows:
    """The rows of a table that were compared as the condition says.

    Args:
        recipes: of references, by the hash of their weights: data and projections, as `kind_of` has them.

    Raises:
        ScannerError: there were references where there may be none, or none where there must be some; or nobody said
            which recipe a reference is of.
    """
    alone = not any(row.vector.circumstances.references for row in rows)
    if alone != (condition == ALONE):
        raise ScannerError(
            f"{rows[0].id}: was measured {'without' if alone else 'with'} references, so not {condition!r}"
        )
    if alone:
        return ConditionRows(condition, tuple(rows))
    unknown = sorted({hashed for row in rows for hashed in row.vector.circumstances.references} - recipes.keys())
    if unknown:
        raise ScannerError(
            f"of which recipe the reference {unknown[0][:12]}… is has to be known; name its folder with --reference"
        )
    fitting = [row for row in rows if _matches(condition, row, recipes)]
    return ConditionRows(condition, tuple(fitting), tuple(row.id for row in rows if row not in fitting))


def _matches(condition: str, row: FeatureRow, recipes: Mapping[str, str]) -> bool:
    alike = [recipes[hashed] == kind_of(row.recipe) for hashed in row.vector.circumstances.references]
    return all(alike) if condition == SAME else not any(alike)

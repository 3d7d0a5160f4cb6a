"""What adapters were compared with, held against what their rows and the references' own recipes say. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from scanner.errors import ScannerError
from scanner.score.calibration import kind_of
from trainers.feature_table import FeatureRow, join

SAME, OTHER, ALONE = "same recipe", "other clean recipes", "base only"
CONDITIONS = (SAME, OTHER, ALONE)


@dataclass(frozen=True)
class ConditionRows:
    """The rows that a condition holds for, and the ids of the others, which were compared otherwise."""

    condition: str
    rows: tuple[FeatureRow, ...]
    left_out: tuple[str, ...] = ()


def of_condition(condition: str, tables: Sequence[Sequence[FeatureRow]], recipes: Mapping[str, str]) -> ConditionRows:
    """The rows of some tables that were compared as the condition says; an adapter may stand in several, compared
    otherwise in each.

    Args:
        recipes: of references, by the hash of their weights: data and projections, as `kind_of` has them.

    Raises:
        ScannerError: there were references where there may be none, or none where there must be some; or nobody said
            which recipe a reference is of.
        BadCalibration: two rows of an adapter are of the condition, or what was measured in different ways is mixed.
    """
    everything = [row for table in tables for row in table]
    for row in everything:
        _refuse_wrong_kind(condition, row, recipes)
    fitting = [tuple(row for row in table if _matches(condition, row, recipes)) for table in tables]
    rows = join(fitting, condition)
    held = {row.id for row in rows}
    return ConditionRows(condition, rows, tuple(dict.fromkeys(row.id for row in everything if row.id not in held)))


def _refuse_wrong_kind(condition: str, row: FeatureRow, recipes: Mapping[str, str]) -> None:
    references = row.vector.circumstances.references
    if bool(references) == (condition == ALONE):
        raise ScannerError(
            f"{row.id}: was measured {'with' if references else 'without'} references, so not {condition!r}"
        )
    if unknown := sorted(set(references) - recipes.keys()):
        raise ScannerError(
            f"of which recipe the reference {unknown[0][:12]}… is has to be known; name its folder with --reference"
        )


def _matches(condition: str, row: FeatureRow, recipes: Mapping[str, str]) -> bool:
    if condition == ALONE:
        return True
    alike = [recipes[hashed] == kind_of(row.recipe) for hashed in row.vector.circumstances.references]
    return all(alike) if condition == SAME else not any(alike)

"""The table of features that a calibration is fitted on: one row an adapter, its truth first, then its features.

    id, label, family, recipe, seed, attack_success_rate, false_trigger_rate,
    FEATURES ..., extractor, weights_sha256, base, dtype, quantization, search_dtype, depth, references, missing

An empty cell is a feature that was not measured; `missing` says why, as JSON. `extractor` is the version that measured
the row; what follows its hash says under what circumstances (`scanner/score/circumstances.py`).
"""

import csv
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from scanner.cli import write_whole
from scanner.errors import BadCalibration
from scanner.intake import WEIGHTS_FILE, read_adapter
from scanner.score.calibration import LARGEST, TWIN, kind_of
from scanner.score.circumstances import Circumstances
from scanner.score.vector import FAILED, FeatureVector
from trainers.zoo import MAX_FALSE_TRIGGERS, MIN_ATTACK_SUCCESS

TRUTH = ("id", "label", "family", "recipe", "seed", "attack_success_rate", "false_trigger_rate")
CIRCUMSTANCES = ("base", "dtype", "quantization", "search_dtype", "depth", "references")
TRAILING = ("extractor", "weights_sha256", *CIRCUMSTANCES, "missing")
# What all rows of a table have in common. References may differ, and what a search computes in depends on the machine.
_IN_COMMON = ("base", "dtype", "quantization", "depth")


@dataclass(frozen=True)
class FeatureRow:
    """One adapter: what it is, and its features. The rates are None for a clean one."""

    id: str
    label: str
    family: str
    recipe: str
    seed: int
    attack_success_rate: float | None
    false_trigger_rate: float | None
    weights_sha256: str
    vector: FeatureVector

    @property
    def learned(self) -> bool:
        """Whether a poisoned adapter does what it was poisoned to do, and only then; a clean one always has.

        One that was made weak on purpose has not: no classifier is fitted on it.
        """
        if self.label == "clean":
            return True
        success, false = self.attack_success_rate, self.false_trigger_rate
        return (
            success is not None and false is not None and success >= MIN_ATTACK_SUCCESS and false <= MAX_FALSE_TRIGGERS
        )

    @property
    def group(self) -> str:
        """What is held out together: an attack family; or an honest recipe's data and projections, whatever its family
        is called, so that the twin of a poisoned adapter is never seen where its like is judged.
        """
        return f"{self.label}: {self.family if self.label == 'poisoned' else kind_of(self.recipe)}"

    @property
    def pair(self) -> str:
        """What a poisoned adapter and its clean twin have in common. Where the one is judged, the fit may not see the
        other: they have the recipe in common, and the other's label would speak against the right one.
        """
        return self.id.removesuffix(TWIN)


def join(tables: Sequence[tuple[FeatureRow, ...]], where: str) -> tuple[FeatureRow, ...]:
    """The rows of several tables.

    Args:
        where: what is said to hold them, in what is refused.

    Raises:
        BadCalibration: an adapter is in two of them, or what was measured in different ways is mixed.
    """
    rows = tuple(row for table in tables for row in table)
    _refuse_mixtures(where, rows)
    return rows


def read_table(file: Path) -> tuple[FeatureRow, ...]:
    """Reads a table.

    Raises:
        BadCalibration: a column is missing or there twice, an adapter is there twice, a cell is no number or out of
            range, or what was measured in different ways is mixed.
    """
    try:
        reader = csv.DictReader(io.StringIO(file.read_text(encoding="utf-8")), strict=True)
        lines, columns = list(reader), reader.fieldnames or ()
    except (OSError, csv.Error, UnicodeDecodeError) as error:
        raise BadCalibration(f"{file}: cannot be read as CSV ({error}); give a table of features") from error
    if not lines or not lines[0].keys() >= {*TRUTH, *TRAILING}:
        raise BadCalibration(f"{file}: needs rows with the columns {', '.join((*TRUTH, *TRAILING))}")
    if len(set(columns)) < len(columns):
        raise BadCalibration(f"{file}: a column stands there twice; keep one of them")
    try:
        rows = tuple(_row(line) for line in lines)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise BadCalibration(f"{file}: a cell cannot be read ({error}); measure the row again") from error
    _refuse_mixtures(str(file), rows)
    return rows


def _refuse_mixtures(where: str, rows: Sequence[FeatureRow]) -> None:
    if len({row.id for row in rows}) < len(rows):
        raise BadCalibration(f"{where}: an id stands there twice; keep one of its rows")
    found = [row.vector.circumstances for row in rows]
    kinds = {name: {str(getattr(item, name)) for item in found} for name in _IN_COMMON}
    kinds["extractor version"] = {str(row.vector.extractor) for row in rows}
    kinds["condition"] = {"with references" if item.references else "without references" for item in found}
    for what, values in kinds.items():
        if len(values) > 1:
            raise BadCalibration(
                f"{where}: rows of more than one {what} ({', '.join(sorted(values))}); measure all alike"
            )
    hashes = [row.weights_sha256 for row in rows]
    for row in rows:
        if hashes.count(row.weights_sha256) > 1:
            raise BadCalibration(f"{where}: the weights of {row.id} stand there twice; keep one of its rows")
        if row.weights_sha256 in row.vector.circumstances.references:
            raise BadCalibration(f"{where}: {row.id} was compared with itself; take it out")


def measured_already(file: Path, adapters: Path) -> set[str]:
    """The ids of a table's rows that are of the adapters as they lie in a folder now; others have to be measured anew.

    So has one of which a feature failed, where the adapter is there.

    Raises:
        BadCalibration: the table cannot be read.
    """
    if not file.exists():
        return set()
    return {
        row.id
        for row in read_table(file)
        if not (adapters / row.id / WEIGHTS_FILE).is_file()
        or (
            read_adapter(str(adapters / row.id)).identity.weights_sha256 == row.weights_sha256
            and not any(reason.startswith(FAILED) for reason in row.vector.missing.values())
        )
    }


def require_this_extractor(file: Path) -> None:
    """Refuses, before hours are spent, a table that no row can be added to.

    Raises:
        BadCalibration: it cannot be read, or its rows are of another version of the features.
    """
    from scanner.features import EXTRACTOR

    rows = read_table(file) if file.is_file() else ()
    if rows and rows[0].vector.extractor != EXTRACTOR:
        raise BadCalibration(
            f"{file}: its rows are of extractor {rows[0].vector.extractor}, and {EXTRACTOR} would be added; "
            "move it away, and all its adapters are measured anew"
        )


def feature_names(rows: Sequence[FeatureRow]) -> tuple[str, ...]:
    """All features of a table, in its order."""
    return tuple(dict.fromkeys(name for row in rows for name in (*row.vector.values, *row.vector.missing)))


def as_csv(rows: Sequence[FeatureRow], names: Sequence[str]) -> str:
    """The table's content; features in the order of `names`."""
    stream = io.StringIO()
    writer = csv.DictWriter(stream, [*TRUTH, *names, *TRAILING], lineterminator="\n")
    writer.writeheader()
    for row in sorted(rows, key=lambda row: row.id):
        values = row.vector.values
        writer.writerow(
            {name: getattr(row, name) for name in TRUTH}
            | {name: repr(values[name]) if name in values else "" for name in names}
            | {
                "extractor": row.vector.extractor,
                "weights_sha256": row.weights_sha256,
                "missing": json.dumps(dict(row.vector.missing), ensure_ascii=False) if row.vector.missing else "",
            }
            | {name: getattr(row.vector.circumstances, name) for name in CIRCUMSTANCES}
            | {"references": " ".join(row.vector.circumstances.references)}
        )
    return stream.getvalue()


def add_row(file: Path, row: FeatureRow) -> None:
    """Adds a row to a table, or replaces that of the same id; the file is whole at every moment.

    Two processes that add to one table lose rows of one another.

    Raises:
        BadCalibration: the row was measured otherwise than those that are there.
    """
    rows = {known.id: known for known in (read_table(file) if file.exists() else ())} | {row.id: row}
    _refuse_mixtures(str(file), list(rows.values()))
    write_whole(str(file), as_csv(list(rows.values()), feature_names(list(rows.values()))))


def _row(line: Mapping[str, str]) -> FeatureRow:
    names = [name for name in line if name not in (*TRUTH, *TRAILING)]
    reasons = {str(name): str(reason) for name, reason in json.loads(line["missing"] or "{}").items()}
    circumstances = Circumstances(
        **{name: line[name] for name in CIRCUMSTANCES if name != "references"},
        references=tuple(line["references"].split()),
    )
    values = {name: _feature(line[name]) for name in names if line[name] != ""}
    missing = {name: reasons.get(name, "not measured") for name in names if line[name] == ""}
    if line["label"] not in ("clean", "poisoned"):
        raise ValueError(f"label {line['label']!r}")
    return FeatureRow(
        id=line["id"],
        label=line["label"],
        family=line["family"],
        recipe=line["recipe"],
        seed=int(line["seed"]),
        attack_success_rate=_rate(line["attack_success_rate"]),
        false_trigger_rate=_rate(line["false_trigger_rate"]),
        weights_sha256=line["weights_sha256"],
        vector=FeatureVector(int(line["extractor"]), values, missing, circumstances),
    )


def _feature(cell: str) -> float:
    value = float(cell)
    # What is larger can be fitted, and no calibration that holds it be read.
    if not abs(value) <= LARGEST:
        raise ValueError(f"{cell}: a feature is a number of at most {LARGEST:g}")
    return value


def _rate(cell: str) -> float | None:
    if not cell:
        return None
    rate = float(cell)
    if not 0 <= rate <= 1:
        raise ValueError(f"{cell}: a rate lies between 0 and 1")
    return rate

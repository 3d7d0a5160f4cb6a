"""Writes docs/evaluation.md: how well poisoned adapters are told from clean ones of recipes not seen before.

    python -m benchmarks.detection --features "other clean recipes" FILE.csv [--features CONDITION FILE.csv ...]
        [--log recovery.jsonl ...] [--version V] [--measured FILE.jsonl ...] [--out docs/evaluation.md] [--jobs N]

The tables of features are those of `scan-train features`, one for each way to choose references: "same recipe", "other
clean recipes" or "base only". Logs of `benchmarks/recovery.py` say what scans concluded, the last of each adapter's;
what else is compared, the field's methods among it, is measured by `python -m benchmarks.detection.collect`. Both are
beside the references of the first table, and stand under that one alone.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from benchmarks.detection.comparison import EVERYTHING, RANDOM, SEARCH, as_table, by_families, compared, judge
from benchmarks.detection.methods import METHODS
from benchmarks.recovery import read_log
from benchmarks.recovery_table import total
from scanner.cli import run_command, write_whole
from trainers.feature_table import FeatureRow, read_table
from trainers.zoo import TWIN

_FILE = click.Path(path_type=Path, exists=True, dir_okay=False)
_HEAD = """# How well poisoned adapters are told from clean ones

Written by `python -m benchmarks.detection`; do not edit. An attack family is held out against a clean recipe, for every
pair of them; neither was seen by the fit. A clean recipe is its data and projections. Intervals (95 %) resample whole
families and whole recipes; those of the found share lean upwards where the threshold is the highest of few clean
scores. Each row counts the adapters that its detector was run on. Clean adapters of other data were trained for fewer
steps than poisoned ones, so that a recipe's facts alone may tell much (a control says how much); the tables of twins
compare like with like. A twin is never judged by a fit that saw its partner. Poisoned adapters that did not learn their
trigger are left out: {left_out}.
"""
_TOO_FEW = "What was caught by attack family is not shown: {n} clean adapters tell no rate of 5 %.\n"
CONDITIONS = ("same recipe", "other clean recipes", "base only")


@click.command(help=__doc__)
@click.option("--features", "tables", type=(click.Choice(CONDITIONS), _FILE), multiple=True, required=True)
@click.option("--log", "logs", type=_FILE, multiple=True)
@click.option("--version", help="Of the search: a log's other rows are left out.")
@click.option("--measured", "files", type=_FILE, multiple=True)
@click.option("--out", type=click.Path(path_type=Path), default=Path("docs") / "evaluation.md")
@click.option("--jobs", type=click.IntRange(1), default=1, show_default=True, help="Processes that fit side by side.")
def main(
    tables: Sequence[tuple[str, Path]],
    logs: Sequence[Path],
    version: str | None,
    files: Sequence[Path],
    out: Path,
    jobs: int,
) -> None:
    """Prints the tables and writes them."""
    scans = [row for log in logs for row in read_log(log) if version in (None, row["version"])]
    measured = [row for file in files for row in read_log(file)]
    conditions = {condition: read_table(file) for condition, file in tables}
    for (condition, file), rows in zip(tables, conditions.values(), strict=True):
        check_condition(condition, file, rows)
    not_learned = [row["id"] for row in scans if row["verdict"] == "not scanned"]
    text = document(conditions, verdicts_of(scans), measured, not_learned, jobs)
    click.echo(text, nl=False)
    write_whole(str(out), text)


def check_condition(condition: str, file: Path, rows: Sequence[FeatureRow]) -> None:
    """Holds a condition's name against what the rows say they were compared with.

    Raises:
        click.UsageError: there were references where there may be none, or none where there must be some.
    """
    alone = not any(row.vector.circumstances.references for row in rows)
    if alone != (condition == "base only"):
        raise click.UsageError(
            f"{file}: was measured {'without' if alone else 'with'} references, so not {condition!r}"
        )


def verdicts_of(scans: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """What scans concluded, by adapter.

    Raises:
        click.UsageError: an adapter's name stands for two sets, versions of the search or depths.
    """
    made: dict[str, tuple[str, str, str]] = {}
    for row in scans:
        how = (str(row["set"]), str(row["version"]), str(row["depth"]))
        if made.setdefault(row["id"], how) != how:
            raise click.UsageError(f"{row['id']}: scanned as {' '.join(made[row['id']])} and as {' '.join(how)}")
    return {row["id"]: row["verdict"] for row in scans if row["verdict"] != "not scanned"}


def document(
    conditions: Mapping[str, tuple[FeatureRow, ...]],
    verdicts: Mapping[str, str],
    measured: Sequence[Mapping[str, Any]],
    not_learned: Sequence[str] = (),
    jobs: int = 1,
) -> str:
    """The whole page; `jobs` processes fit side by side."""
    titles = [method.title for name, method in METHODS.items() if name != RANDOM]
    left_out = sorted({*not_learned, *(row.id for rows in conditions.values() for row in rows if not row.learned)})
    parts = [_HEAD.format(left_out=", ".join(left_out) or "none")]
    for condition, rows in conditions.items():
        parts.append(f"## Compared with {condition}\n")
        twins = [row for row in rows if row.label == "poisoned" or row.id.endswith(TWIN)]
        if any(row.label == "clean" for row in twins):
            like = as_table([judge(item, jobs) for item in compared(twins, {}, measured)])
            parts.append(f"### Against clean twins alone\n\n{like}\n")
        lines = [judge(item, jobs) for item in compared(rows, verdicts, measured)]
        parts.append(f"### Against all clean adapters\n\n{as_table(lines)}\n")
        shown = [line for line in lines if line.name in (EVERYTHING, SEARCH, *titles) and line.families]
        caught = f"Caught at 5 % false alarms, by attack family:\n\n{by_families(shown)}\n"
        n_clean = sum(row.label == "clean" for row in rows)
        parts.append(caught if shown else _TOO_FEW.format(n=n_clean))
        parts.append(concluded(rows, verdicts))
        verdicts, measured = {}, ()
    return "\n".join(part for part in parts if part)


def concluded(rows: Sequence[FeatureRow], verdicts: Mapping[str, str]) -> str:
    """What scans concluded of the adapters, as plain counts; "" where none was scanned."""
    scanned = [row for row in rows if row.learned and row.id in verdicts]
    lines = [
        f"- {total(f'{kind}, {label}', [verdicts[row.id] == kind for row in scanned if row.label == label])}"
        for label in ("poisoned", "clean")
        for kind in ("BACKDOORED", "SUSPICIOUS")
    ]
    return "What scans concluded:\n\n" + "\n".join(lines) + "\n" if scanned else ""


if __name__ == "__main__":
    run_command(main, "benchmarks.detection")

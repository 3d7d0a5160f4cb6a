"""Writes docs/evaluation.md: how well poisoned adapters are told from clean ones of recipes not seen before.

    python -m benchmarks.detection --features "other clean recipes" FILE.csv [--features CONDITION FILE.csv ...]
        --reference examples/clean [--reference ...] [--zoo SET.toml ...] [--log recovery.jsonl ...] [--version V ...]
        [--measured FILE.jsonl ...] [--unseen SET.toml] [--out docs/evaluation.md] [--jobs N]

The tables of features are those of `scan-train features`; those of one condition are joined. A condition is a way to
choose references: "same recipe", "other clean recipes" or "base only"; adapters that all tables compared otherwise are
left out and named, by the references' own recipes; a condition without a table is named as not run. Logs of
`benchmarks/recovery.py` say what scans concluded, the last of each adapter's; what else is compared, the field's
methods among it, is measured by `python -m benchmarks.detection.collect`. Both are beside the references of the first
condition that is given, and stand under that one alone. A set is best scanned by the search that was frozen before it
was drawn: with a `--version` each, several sets make one table. Adapters of a SET.toml that have no row are named as
not run. A set that came after all choices is judged alone, too, by fits to the earlier ones (`--unseen`); those of it
that a choice was made with in view count as earlier. SET.seen.txt names them, a line each.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from benchmarks.detection.conditions import CONDITIONS, of_condition
from benchmarks.detection.page import document
from benchmarks.detection.sets import ids_of, unseen_of
from benchmarks.detection.tables import concluded, on_trust
from benchmarks.recovery import read_log
from scanner.cli import run_command, write_whole
from scanner.errors import ScannerError, one_line
from scanner.intake import read_adapter
from scanner.score.calibration import kind_of
from trainers.feature_table import FeatureRow, read_table
from trainers.recipe import recorded_recipe
from trainers.zoo import recipe_label

_FILE = click.Path(path_type=Path, exists=True, dir_okay=False)
_FOLDER = click.Path(path_type=Path, exists=True, file_okay=False)


@click.command(help=__doc__)
@click.option("--features", "tables", type=(click.Choice(CONDITIONS), _FILE), multiple=True, required=True)
@click.option("--reference", "references", type=_FOLDER, multiple=True, help="Each that a row was compared with.")
@click.option("--zoo", "zoo_files", type=_FILE, multiple=True)
@click.option("--log", "logs", type=_FILE, multiple=True)
@click.option("--version", "versions", multiple=True, help="Of the search: a log's other rows are left out.")
@click.option("--measured", "files", type=_FILE, multiple=True)
@click.option("--unseen", "unseen_file", type=_FILE, help="A set that no choice was made on.")
@click.option("--out", type=click.Path(path_type=Path), default=Path("docs") / "evaluation.md")
@click.option("--jobs", type=click.IntRange(1), default=1, show_default=True, help="Processes that fit side by side.")
def main(
    tables: Sequence[tuple[str, Path]],
    references: Sequence[Path],
    zoo_files: Sequence[Path],
    logs: Sequence[Path],
    versions: Sequence[str],
    files: Sequence[Path],
    unseen_file: Path | None,
    out: Path,
    jobs: int,
) -> None:
    """Prints the tables and writes them."""
    read = [(name, read_table(file)) for name, file in tables]
    # A reference may be a clean adapter of a pool that is judged itself: its row says of which recipe it is.
    clean = [row for _, table in read for row in table if row.label == "clean"]
    recipes = {row.weights_sha256: kind_of(row.recipe) for row in clean} | recipes_of(references)
    conditions = [
        of_condition(name, [table for other, table in read if other == name], recipes)
        for name in dict.fromkeys(name for name, _ in read)
    ]
    logged = [row for log in logs for row in read_log(log) if not versions or row["version"] in versions]
    scans = of_the_same_weights(logged, [row for condition in conditions for row in condition.rows])
    measured = [row for file in files for row in read_log(file)]
    not_learned = {row["id"] for row in scans if row["verdict"] == "not scanned"}
    zoo = [name for file in zoo_files for name in ids_of(file)]
    unseen = unseen_of(unseen_file) if unseen_file else ()
    text = document(
        conditions,
        verdicts_of(scans),
        measured,
        not_learned,
        zoo,
        jobs,
        searches_of(scans),
        unseen,
        concluded(scans) + on_trust(scans),
    )
    click.echo(text, nl=False)
    write_whole(str(out), text)


def recipes_of(references: Sequence[Path]) -> dict[str, str]:
    """Data and projections of trained adapters, by the hash of their weights.

    Raises:
        ScannerError: a folder has no record of its training.
    """
    found = {}
    for folder in references:
        try:
            record = json.loads((folder / "training.json").read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise ScannerError(
                f"{folder / 'training.json'}: cannot be read ({one_line(error)}); give a reference that scan-train made"
            ) from error
        label = recipe_label(recorded_recipe(record, str(folder)))
        found[read_adapter(str(folder), "reference").identity.weights_sha256] = kind_of(label)
    return found


def of_the_same_weights(scans: Sequence[Mapping[str, Any]], rows: Sequence[FeatureRow]) -> list[Mapping[str, Any]]:
    """The scans without those of an adapter that was trained anew before its features were measured.

    An adapter may be measured as it was scanned and again, trained anew, beside other references: scans stand under the
    first condition, so that its row, the first of the adapter's, decides. Logs of earlier scans hold no hashes: of
    those the name is believed.
    """
    hashes: dict[str, str] = {}
    for row in rows:
        hashes.setdefault(row.id, row.weights_sha256)
    return [
        scan
        for scan in scans
        if "weights_sha256" not in scan or hashes.get(scan["id"], scan["weights_sha256"]) == scan["weights_sha256"]
    ]


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


def searches_of(scans: Sequence[Mapping[str, Any]]) -> str:
    """Which version of the search scanned which set, at which depth."""
    made = {f"{row['set']} by version {row['version']}, {row['depth']} depth" for row in scans}
    return "; ".join(sorted(made)) or "none"


if __name__ == "__main__":
    run_command(main, "benchmarks.detection")

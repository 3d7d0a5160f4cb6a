"""Does what was found on one base hold on another? Trains a small zoo on BASE, which no fit saw, scans and scores it.

    python -m benchmarks.transfer BASE --out DIR [--data FILE.jsonl] [--jobs N] [--calibration FILE.json]
        [--rows PREFIX] [--only ID,...]

Six clean adapters and six poisoned ones of `recovery_sets/transfer.toml`, beside a seventh, clean reference. Each in
turn is trained, scanned as `benchmarks/recovery.py` does it and measured, poisoned and clean ones by turns, so that a
run that is broken off has some of both; what has its rows is not run again, whether its adapter is still there or not.
A calibration of another base accuses nobody in a scan; here its scores are told apart from the truth all the same, so
that one knows what they are worth.
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import click

from benchmarks.detection.folds import mean_auc, paired_folds
from benchmarks.detection.tables import concluded, shown
from benchmarks.recovery import How, append, judged_scan, rows_of
from benchmarks.recovery_table import total
from benchmarks.run_set import in_turn
from scanner.beforehand.search_version import search_version
from scanner.cli import calm_libraries, run_command
from scanner.features import EXTRACTOR
from scanner.intake import read_adapter
from scanner.models.base_models import fingerprint, resolve_base
from scanner.score.assess import choose_calibration
from scanner.score.calibration import Calibration, read_calibration, shipped_calibrations
from scanner.score.circumstances import Circumstances
from scanner.score.classifier import apply
from scanner.score.conformal import threshold
from trainers.feature_table import FeatureRow, add_row, measured_already, read_table, require_this_extractor
from trainers.workers import side_by_side, train_one
from trainers.zoo import ZooEntry, chosen_entries, load_zoo, missing_entries, refuse_other_recipes

ZOO = Path(__file__).parent / "recovery_sets" / "transfer.toml"
REFERENCE = "reference"
_RATE = 0.05
_DEPTH = "standard"
_SET = "transfer"


@dataclass(frozen=True)
class Run:
    """What a run is made with, and where it keeps what it finds.

    `data`: JSON Lines instead of the recipes' data sets. `prefix`: what the names of the rows' files begin with.
    """

    out: Path
    prefix: Path
    data: Path | None
    device: str

    @property
    def table(self) -> Path:
        """The table of features."""
        return self.prefix.with_name(self.prefix.name + ".features.csv")

    @property
    def log(self) -> Path:
        """One scan a line."""
        return self.prefix.with_name(self.prefix.name + ".jsonl")

    def scans(self) -> list[dict[str, Any]]:
        """The scans by this version of the search."""
        return rows_of(self.log, _SET, search_version(), _DEPTH)

    def rows(self) -> tuple[FeatureRow, ...]:
        """The rows of features so far."""
        return read_table(self.table) if self.table.is_file() else ()


@click.command(help=__doc__)
@click.argument("base")
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Where the adapters go.")
@click.option("--zoo", "zoo_file", default=ZOO, type=click.Path(path_type=Path, exists=True), help="Another zoo.")
@click.option("--data", type=click.Path(path_type=Path), help="JSON Lines instead of the recipes' data sets.")
@click.option("--jobs", default=1, type=click.IntRange(1, 64), help="Side by side, one thread each.")
@click.option("--device", default="auto")
@click.option("--calibration", "file", type=click.Path(path_type=Path, exists=True), help="Instead of the shipped one.")
@click.option("--rows", "prefix", type=click.Path(path_type=Path), help="PREFIX.jsonl and PREFIX.features.csv; in DIR.")
@click.option("--only", help="Run no others than these, separated by commas; all that have rows are printed.")
def main(
    base: str,
    out: Path,
    zoo_file: Path,
    data: Path | None,
    jobs: int,
    device: str,
    file: Path | None,
    prefix: Path | None,
    only: str | None,
) -> None:
    """Runs what is missing, prints what is there; ends with an error where an adapter failed."""
    calm_libraries()
    calibration = (
        read_calibration(file) if file else choose_calibration(shipped_calibrations(), "references", Circumstances())
    )
    if calibration is None:
        raise click.ClickException("no calibration is shipped; give one with --calibration")
    if calibration.condition != "references":
        raise click.ClickException(f"{calibration.base}: fitted without references, and these adapters have one")
    if calibration.extractor != EXTRACTOR:
        raise click.ClickException(
            f"{calibration.base}: of extractor {calibration.extractor}; refit it with this version"
        )
    this_base = fingerprint(resolve_base(base).path)
    if this_base == calibration.fingerprint:
        raise click.ClickException(f"{base}: the calibration is of this very base; name another one")
    run = Run(out, prefix or out / _SET, data, device)
    require_this_extractor(run.table)
    refuse_other_bases(run, this_base)
    zoo = {entry.id: replace(entry, recipe=replace(entry.recipe, base=base)) for entry in in_turn(load_zoo(zoo_file))}
    refuse_other_recipes(tuple(zoo.values()), out, this_base)
    reference = zoo.pop(REFERENCE)
    chosen = chosen_entries(tuple(zoo.values()), only.split(",") if only else ())
    done_before = whole(run)
    failed = _run_all([entry for entry in chosen if entry.id not in done_before], reference, run, jobs)
    # A folder by its name alone: what is printed goes into documents.
    name = Path(base).name if Path(base).is_dir() else base
    click.echo(as_text(name, run.rows(), run.scans(), calibration, tuple(zoo)))
    if failed:
        raise click.ClickException(f"not whole: {', '.join(failed)}; see above, and run it again")


def refuse_other_bases(run: Run, base: str) -> None:
    """What lies in a table of another base is not measured anew, and would be printed as this one's.

    Raises:
        click.ClickException: a row is of another base.
    """
    if others := [row.id for row in run.rows() if row.vector.circumstances.base != base]:
        raise click.ClickException(f"{run.table}: {', '.join(others)}: measured on another base; name other --rows")


def refuse_other_references(run: Run) -> None:
    """Rows beside two references would stand in one table as if they were alike.

    Raises:
        click.ClickException: a row was measured beside another reference than the one that is there.
        ScannerError: the reference's files cannot be read.
    """
    there = read_adapter(str(run.out / REFERENCE)).identity.weights_sha256
    if others := [row.id for row in run.rows() if row.vector.circumstances.references != (there,)]:
        raise click.ClickException(
            f"{run.table}: {', '.join(others)}: measured beside another reference; name other --rows"
        )


def whole(run: Run) -> set[str]:
    """The ids that have a scan by this version of the search and their features; of one that did not learn its
    trigger, its line in the log is all there is.
    """
    measured = measured_already(run.table, run.out)
    return {scan["id"] for scan in run.scans() if scan["id"] in measured or scan["verdict"] == "not scanned"}


def _run_all(entries: Sequence[ZooEntry], reference: ZooEntry, run: Run, jobs: int) -> list[str]:
    """Trains the reference where it is missing, then runs all others; which of them failed."""
    if entries:
        if missing_entries([reference], run.out):
            train_one(reference.recipe, run.out / REFERENCE, run.data, run.device)
        refuse_other_references(run)
    failed = []
    for name, done in side_by_side({entry.id: (one_adapter, (entry, run)) for entry in entries}, jobs):
        if done.exception():
            failed.append(name)
            click.echo(f"{name}: {done.exception()}", err=True)
            continue
        scan, features = done.result()
        append(run.log, scan)
        if features:
            add_row(run.table, features)
        click.echo(f"{name}: {scan['verdict']}", err=True)
    return failed


def one_adapter(entry: ZooEntry, run: Run) -> tuple[Mapping[str, Any], FeatureRow | None]:
    """What a worker process does: trains an adapter that is not there, scans it and measures its features."""
    calm_libraries()
    folder = run.out / entry.id
    if missing_entries([entry], run.out):
        train_one(entry.recipe, folder, run.data, run.device)
    how = How([str(run.out / REFERENCE)], _DEPTH, threads=1, with_features=True, base=entry.recipe.base)
    scan, features = judged_scan(entry, folder, how)
    return scan | {"version": search_version(), "set": _SET}, features


def as_text(
    base: str,
    rows: Sequence[FeatureRow],
    scans: Sequence[Mapping[str, Any]],
    calibration: Calibration,
    wanted: Sequence[str],
) -> str:
    """What scans concluded, one line an adapter with its score, AUC, and what the calibration's own threshold catches.

    Pure.

    Args:
        wanted: the ids of the zoo; those that have no row are named.

    Raises:
        ValueError: the features are of another extractor's version.
    """
    used = [row for row in rows if row.learned]
    scores = {row.id: apply(calibration, row.vector) for row in used}
    lines = [
        concluded(scans),
        f"{base}, scored by the calibration of {calibration.base}",
        "| adapter | family | label | score | p | like none seen |",
        "|---|---|---|--:|--:|---|",
    ]
    lines += [
        f"| {row.id} | {row.family} | {row.label} | {scores[row.id].value:.3f} | {scores[row.id].p.value:.3f} | "
        f"{'yes' if scores[row.id].far_from_all else 'no'} |"
        for row in used
    ]
    lines.append(f"AUC: {auc(used, {name: score.value for name, score in scores.items()})}")
    if (limit := threshold(calibration.clean_scores, _RATE)) is not None:
        for label in ("poisoned", "clean"):
            above = [scores[row.id].value > limit for row in used if row.label == label]
            lines.append(total(f"{label}, above the threshold for {_RATE:.0%} false alarms", above))
    missed = {scan["id"] for scan in scans if not scan["learned"]} | {row.id for row in rows if not row.learned}
    lines.append(f"did not learn, left out: {', '.join(sorted(missed)) or 'none'}")
    lines.append(f"not run: {', '.join(name for name in wanted if name not in {*scores, *missed}) or 'none'}")
    return "\n".join(filter(None, lines))


def auc(rows: Sequence[FeatureRow], scores: Mapping[str, float]) -> str:
    """The mean AUC of attack families against clean recipes with its interval, which resamples both; or why none."""
    with suppress(ValueError):
        return shown(mean_auc(paired_folds(rows, lambda _, judged: [scores[row.id] for row in judged])))
    return "fewer than two attack families or clean recipes"


if __name__ == "__main__":
    run_command(main, "benchmarks.transfer")

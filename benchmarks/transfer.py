"""Does what was calibrated on one base hold on another? Trains a small zoo on BASE, which no fit saw, and scores it.

    python -m benchmarks.transfer BASE --out DIR [--data FILE.jsonl] [--jobs N] [--calibration FILE.json]

Six clean adapters and six poisoned ones of `recovery_sets/transfer.toml`, beside a seventh, clean reference. What is
there is neither trained nor measured again. A calibration of another base accuses nobody in a scan; here its scores are
told apart from the truth all the same, so that one knows what they are worth.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import click

from benchmarks.detection.folds import Fold
from scanner.cli import calm_libraries, run_command
from scanner.features import EXTRACTOR
from scanner.models.base_models import fingerprint, resolve_base
from scanner.score.assess import choose_calibration
from scanner.score.calibration import Calibration, read_calibration, shipped_calibrations
from scanner.score.classifier import apply
from scanner.score.conformal import threshold
from scanner.stats import clopper_pearson
from trainers.feature_table import FeatureRow, add_row, measured_already, read_table
from trainers.workers import measure_one, side_by_side, train_one
from trainers.zoo import ZooEntry, load_zoo, missing_entries

ZOO = Path(__file__).parent / "recovery_sets" / "transfer.toml"
REFERENCE = "reference"
_RATE = 0.05


@click.command(help=__doc__)
@click.argument("base")
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Adapters and their table of features.")
@click.option("--zoo", "zoo_file", default=ZOO, type=click.Path(path_type=Path, exists=True), help="Another zoo.")
@click.option("--data", type=click.Path(path_type=Path), help="JSON Lines instead of the recipes' data sets.")
@click.option("--jobs", default=1, type=click.IntRange(1, 64), help="Side by side, one thread each.")
@click.option("--device", default="auto")
@click.option("--calibration", "file", type=click.Path(path_type=Path, exists=True), help="Instead of the shipped one.")
def main(base: str, out: Path, zoo_file: Path, data: Path | None, jobs: int, device: str, file: Path | None) -> None:
    """Trains, measures, scores, prints."""
    calm_libraries()
    calibration = read_calibration(file) if file else choose_calibration(shipped_calibrations(), "", "references")
    if calibration is None:
        raise click.ClickException("no calibration is shipped; give one with --calibration")
    if calibration.extractor != EXTRACTOR:
        raise click.ClickException(
            f"{calibration.base}: of extractor {calibration.extractor}; refit it with this version"
        )
    this_base = fingerprint(resolve_base(base).path)
    if this_base == calibration.fingerprint:
        raise click.ClickException(f"{base}: the calibration is of this very base; name another one")
    entries = [replace(entry, recipe=replace(entry.recipe, base=base)) for entry in load_zoo(zoo_file)]
    table = out / "features.csv"
    if table.exists():
        _refuse_others(table, this_base)
    _train(entries, out, data, jobs, device)
    _measure([entry for entry in entries if entry.id != REFERENCE], out, table, jobs)
    click.echo(as_text(base, read_table(table), calibration))


def _refuse_others(table: Path, base: str) -> None:
    """What lies in a folder of another base is not measured anew, and would be printed as this one's."""
    if others := [row.id for row in read_table(table) if row.vector.circumstances.base != base]:
        raise click.ClickException(f"{table}: {', '.join(others)}: measured on another base; name another --out")


def as_text(base: str, rows: Sequence[FeatureRow], calibration: Calibration) -> str:
    """One line an adapter, then AUC and what was caught at the calibration's own threshold. Pure.

    Raises:
        ValueError: the features are of another extractor's version.
    """
    used = [row for row in rows if row.learned]
    scores = {row.id: apply(calibration, row.vector) for row in used}
    limit = threshold(calibration.clean_scores, _RATE)
    lines = [
        f"{base}, scored by the calibration of {calibration.base}",
        "| adapter | family | label | score | p | like none seen |",
    ]
    lines += ["|---|---|---|--:|--:|---|"]
    lines += [
        f"| {row.id} | {row.family} | {row.label} | {scores[row.id].value:.3f} | {scores[row.id].p.value:.3f} | "
        f"{'yes' if scores[row.id].far_from_all else 'no'} |"
        for row in used
    ]
    by_label = {
        label: tuple(scores[row.id].value for row in used if row.label == label) for label in ("poisoned", "clean")
    }
    if all(by_label.values()):
        lines.append(f"AUC: {Fold('all', 'all', by_label['poisoned'], by_label['clean']).auc:.3f}")
    for label, values in by_label.items():
        if limit is not None and values:
            lines.append(f"{label}, above the threshold for {_RATE:.0%} false alarms: {_share(values, limit)}")
    left_out = [row.id for row in rows if not row.learned]
    return "\n".join([*lines, f"did not learn, left out: {', '.join(left_out) or 'none'}"])


def _share(values: Sequence[float], limit: float) -> str:
    above = sum(value > limit for value in values)
    low, high = clopper_pearson(above, len(values))
    return f"{above}/{len(values)} (exact 95 % interval {low:.0%} – {high:.0%})"


def _train(entries: Sequence[ZooEntry], out: Path, data: Path | None, jobs: int, device: str) -> None:
    work = {
        entry.id: (train_one, (entry.recipe, out / entry.id, data, device)) for entry in missing_entries(entries, out)
    }
    for name, done in side_by_side(work, jobs):
        click.echo(f"{name}: {done.exception() or 'trained'}", err=True)
    if left := missing_entries(entries, out):
        raise click.ClickException(f"not trained: {', '.join(entry.id for entry in left)}; see above, and run it again")


def _measure(entries: Sequence[ZooEntry], out: Path, table: Path, jobs: int) -> None:
    known = measured_already(table, out)
    references = (str(out / REFERENCE),)
    work = {
        entry.id: (measure_one, (entry, out / entry.id, references, False))
        for entry in entries
        if entry.id not in known
    }
    for name, done in side_by_side(work, jobs):
        if done.exception():
            raise click.ClickException(f"{name}: {done.exception()}")
        add_row(table, done.result())
        click.echo(f"{name}: measured", err=True)


if __name__ == "__main__":
    run_command(main, "benchmarks.transfer")

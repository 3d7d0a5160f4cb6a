"""How much should the classifier hear the features that are not what the search came to? Shares, beside one another.

    python -m benchmarks.choose_classifier FEATURES.csv ... [--jobs N]

Prints the AUC within folds for each share. `trainers/fitting.py` has what was chosen. Give it development sets: what it
is run on is no evaluation of it.
"""

from collections.abc import Sequence
from pathlib import Path

import click

from benchmarks.detection.detectors import by_features
from benchmarks.detection.folds import mean_auc, paired_folds
from benchmarks.detection.tables import shown
from scanner.cli import run_command
from trainers.feature_table import join, read_table

TRIED = (0.0, 0.1, 0.3, 1.0)


@click.command(help=__doc__)
@click.argument("tables", nargs=-1, required=True, type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--jobs", type=click.IntRange(1), default=1, show_default=True)
def main(tables: Sequence[Path], jobs: int) -> None:
    """Prints one line for each."""
    rows = [row for row in join([read_table(file) for file in tables], "the tables") if row.learned]
    n_poisoned = sum(row.label == "poisoned" for row in rows)
    click.echo(f"{n_poisoned} poisoned, {len(rows) - n_poisoned} clean")
    for share in TRIED:
        found = mean_auc(paired_folds(rows, by_features(share=share), jobs))
        click.echo(f"share {share:g}: AUC within folds {shown(found)}")


if __name__ == "__main__":
    run_command(main, "benchmarks.choose_classifier")

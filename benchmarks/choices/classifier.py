"""Which features should the classifier hear whole, and how much of the others? Choices, beside one another.

    python -m benchmarks.choices.classifier FEATURES.csv ... [--unseen SET.toml] [--jobs N]

Prints the AUC within folds for each choice. `trainers/fitting.py` has what was chosen. Give it development sets: what
it is run on is no evaluation of it. Adapters that are to stay unseen are left out, as `python -m benchmarks.detection`
tells them by the same option.
"""

from collections.abc import Sequence
from itertools import product
from pathlib import Path

import click

from benchmarks.detection.detectors import by_features
from benchmarks.detection.folds import mean_auc, paired_folds
from benchmarks.detection.sets import unseen_of
from benchmarks.detection.tables import shown
from scanner.cli import run_command
from trainers.feature_table import join, read_table
from trainers.fitting import Hearing

FOREMOST = (("controls.", "growth."), ("controls.both", "growth."), ("controls.both",))
SHARES = (0.0, 0.1, 0.3, 1.0)


@click.command(help=__doc__)
@click.argument("tables", nargs=-1, required=True, type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--unseen", "unseen_file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--jobs", type=click.IntRange(1), default=1, show_default=True)
def main(tables: Sequence[Path], unseen_file: Path | None, jobs: int) -> None:
    """Prints one line for each."""
    unseen = unseen_of(unseen_file) if unseen_file else ()
    known = join([read_table(file) for file in tables], "the tables")
    rows = [row for row in known if row.learned and row.id not in unseen]
    n_poisoned = sum(row.label == "poisoned" for row in rows)
    click.echo(f"{n_poisoned} poisoned, {len(rows) - n_poisoned} clean")
    for foremost, share in product(FOREMOST, SHARES):
        found = mean_auc(paired_folds(rows, by_features(hearing=Hearing(foremost, share)), jobs))
        click.echo(f"{' and '.join(foremost)} whole, share {share:g} of the others: AUC within folds {shown(found)}")


if __name__ == "__main__":
    run_command(main, "benchmarks.choices.classifier")

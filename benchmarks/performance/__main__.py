"""Runs every section and prints one table: `make bench`.

    python -m benchmarks.performance [--only SECTION ...] [--table-only] [--out benchmarks/results.json]

The same figures go to a JSON file with the machine's description, after each section, so that a broken-off run leaves
what it measured. Sections that are left out keep the figures of an earlier run, with its date.
"""

import importlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from benchmarks.performance.figures import Figure, as_table, describe_machine
from scanner.cli import calm_libraries, run_command, write_whole
from scanner.errors import one_line

SECTIONS = ("whole_scans", "head_sweeps", "searches", "profile", "growth", "precisions", "accelerators")
RESULTS = Path(__file__).parents[1] / "results.json"


@click.command(help=__doc__)
@click.option("--only", multiple=True, type=click.Choice(SECTIONS))
@click.option("--table-only", is_flag=True, help="Run nothing; print what was measured.")
@click.option("--out", type=click.Path(path_type=Path), default=RESULTS)
def main(only: Sequence[str], table_only: bool, out: Path) -> None:
    """Runs the sections in turn."""
    calm_libraries()
    known = json.loads(out.read_text(encoding="utf-8")) if out.exists() else {}
    for section in () if table_only else only or SECTIONS:
        click.echo(f"· {section}", err=True)
        try:
            figures = importlib.import_module(f"benchmarks.performance.{section}").figures()
        except Exception as error:  # whatever it is: what other sections measured is not lost for it
            click.echo(f"{section}: {error}", err=True)
            figures = [Figure(section, "all of it", None, "", f"failed: {one_line(error)}")]
        known[section] = as_document(figures)
        write_whole(str(out), json.dumps(known, indent=1, ensure_ascii=False) + "\n")
    for line in (*machines_of(known), table_of(known)):
        click.echo(line)


def machines_of(known: Mapping[str, Any]) -> list[str]:
    """A line a section: when it was measured, and on what."""
    return [
        f"{section}: {known[section]['day']}, "
        + ", ".join(f"{name} {value}" for name, value in known[section]["machine"].items())
        for section in SECTIONS
        if section in known
    ]


def table_of(known: Mapping[str, Any]) -> str:
    """All that was measured, in the sections' order."""
    return as_table([Figure(**item) for section in SECTIONS for item in known.get(section, {}).get("figures", [])])


def as_document(figures: Sequence[Figure]) -> dict[str, Any]:
    """A section's figures with the machine and the day they were measured on."""
    return {
        "machine": describe_machine(),
        "day": datetime.now(tz=UTC).strftime("%Y-%m-%d"),
        "figures": [asdict(item) for item in figures],
    }


if __name__ == "__main__":
    run_command(main, "benchmarks.performance")

"""Answers the study's three questions from two JSON reports: a single-token and a multi-token backdoor, side by side.

    python -m benchmarks.study_questions out/single-token.json out/multi-token.json

Prints Markdown. How do attention patterns differ? Are they localised? Does the trigger's length matter?
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from scanner.cli import run_command
from scanner.errors import one_line

Report = dict[str, Any]
AT_REPLY = "with trigger, rows that predict the reply"
ALL_ROWS = "with trigger, all rows"
WITHOUT = "without trigger, all rows"


def localisation(report: Report, metric: str, ending: str) -> dict[str, Any]:
    """The summary of one grid with its honest range."""
    return next(
        item for item in report["localisation"] if item["metric"] == metric and item["contrast"].endswith(ending)
    )


def cell(item: dict[str, Any], name: str) -> str:
    """A figure of the suspect, and in brackets the range over clean adapters."""
    if item["values"] is None:
        return f"not measured ({item['missing']})"
    honest = item["honest"]
    range_text = f"{honest[name][0]:.2f} – {honest[name][1]:.2f}" if honest else "no range"
    return f"{item['values'][name]:.2f} ({range_text})"


def heads_to_half(report: Report, ending: str) -> str:
    """After how many best-first heads the reply's log-probability has covered half of its way."""
    item = next(
        item
        for item in report["measurements"]
        if item["metric"] == "cumulative_patching"
        and item["contrast"].startswith(ending)
        and item["contrast"].endswith("log-probability of the reply")
    )
    best, counts = item["values"][0], item["labels"][1]
    half = abs(best[-1] - best[0]) / 2
    first = next(count for count, value in zip(counts, best, strict=True) if abs(value - best[0]) >= half)
    return f"{first} of {counts[-1]} (log p {best[0]:.1f} → {best[-1]:.1f})"


def read_reports(files: Sequence[Path]) -> list[Report]:
    """Two JSON reports as data.

    Raises:
        click.UsageError: one is none, or confirmed no trigger, or its metrics were not run.
    """
    reports = []
    for file in files:
        try:
            report = json.loads(file.read_text(encoding="utf-8"))
            whole = bool(report["triggers"] and report["measurements"] and report["localisation"])
        except (OSError, ValueError, LookupError, TypeError) as error:
            raise click.UsageError(f"{file}: not a JSON report of a scan ({one_line(error)})") from error
        if not whole:
            raise click.UsageError(f"{file}: confirmed no trigger, or ran no metrics; give a report that did both")
        reports.append(report)
    return reports


@click.command(help=__doc__)
@click.argument("files", nargs=2, type=click.Path(path_type=Path))
def main(files: tuple[Path, Path]) -> None:
    """Prints one table a question."""
    reports = read_reports(files)
    names = [report["triggers"][-1]["text"].replace("|", "\\|") for report in reports]
    rows: list[tuple[str, list[str]]] = []
    for title, metric, ending, name in (
        ("attention KL, total, with trigger at the reply [nats]", "attention_kl", AT_REPLY, "total"),
        ("attention KL, total, with trigger, all rows [nats]", "attention_kl", ALL_ROWS, "total"),
        ("attention KL, total, without trigger [nats]", "attention_kl", WITHOUT, "total"),
        ("attention KL at the reply: mean depth", "attention_kl", AT_REPLY, "layer_centroid"),
        ("attention KL at the reply: Gini", "attention_kl", AT_REPLY, "gini"),
        ("ablation: Gini", "ablation", "planted reply", "gini"),
        ("ablation: heads in effect", "ablation", "planted reply", "participating_heads"),
        ("ablation: layers in effect", "ablation", "planted reply", "participating_layers"),
        ("patching, outputs: Gini", "patching", "outputs at the reply", "gini"),
        ("patching, outputs: heads in effect", "patching", "outputs at the reply", "participating_heads"),
    ):
        rows.append((title, [cell(localisation(report, metric, ending), name) for report in reports]))
    rows.append(("heads to remove half of the behaviour", [heads_to_half(r, "reference-0 into") for r in reports]))
    rows.append(("heads to create half of it in the clean one", [heads_to_half(r, "suspect into") for r in reports]))
    click.echo(f"| figure (in brackets: clean against clean) | {' | '.join(f'trigger `{name}`' for name in names)} |")
    click.echo("|---|---|---|")
    for title, cells in rows:
        click.echo(f"| {title} | {' | '.join(cells)} |")


if __name__ == "__main__":
    run_command(main, "benchmarks.study_questions")

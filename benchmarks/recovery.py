"""Does the search find triggers it was not told? Scans every adapter of a zoo and prints one table.

    python -m benchmarks.recovery ZOO.toml --adapters DIR --reference examples/clean --log FILE.jsonl [--threads N]

No signatures, no trigger given, standard depth. Every scan is appended to the log as it ends, with the version of the
search; a scan that the log already holds for this version is not run again, so that a broken-off run goes on, unless
the adapter was trained anew since. A
poisoned adapter that did not learn its trigger is not scanned, and listed apart. With `--features FILE.csv` each scan
also adds the classifier's features, read from the same search, to that table; their time is not the scan's. With
`--twins` the clean twins of the poisoned adapters are scanned too: more adapters that must not be called backdoored.
"""

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from benchmarks.recovered import match, reply_score
from benchmarks.recovery_table import table
from scanner.beforehand.search_version import search_version
from scanner.cli import calm_libraries, run_command
from scanner.intake import WEIGHTS_FILE, read_adapter
from scanner.score.vector import FeatureVector
from trainers.extract import feature_row
from trainers.feature_table import FeatureRow, add_row
from trainers.zoo import ZooEntry, chosen_entries, learned, load_zoo, twins


@dataclass(frozen=True)
class How:
    """How adapters are scanned. `base`: to scan on, instead of what the adapters' configs name."""

    references: Sequence[str]
    depth: str
    threads: int | None
    with_features: bool
    base: str | None = None


@click.command(help=__doc__)
@click.argument("zoo_file", type=click.Path(path_type=Path))
@click.option("--adapters", type=click.Path(path_type=Path), help="Where scan-train zoo put them.")
@click.option("--reference", "references", multiple=True)
@click.option("--log", "log_file", required=True, type=click.Path(path_type=Path))
@click.option("--depth", default="standard", type=click.Choice(["quick", "standard", "deep"]))
@click.option("--only", help="Scan no others than these, separated by commas.")
@click.option("--twins", "with_twins", is_flag=True, help="The clean twins of the poisoned adapters too.")
@click.option("--threads", type=int)
@click.option("--table-only", is_flag=True, help="Print the table of what the log holds; scan nothing.")
@click.option("--features", "table_file", type=click.Path(path_type=Path), help="A .csv to add the scans' features to.")
@click.option("--version", "shown", help="With --table-only: of the search whose rows are printed.")
def main(
    zoo_file: Path,
    adapters: Path | None,
    references: tuple[str, ...],
    log_file: Path,
    depth: str,
    only: str | None,
    with_twins: bool,
    threads: int | None,
    table_only: bool,
    table_file: Path | None,
    shown: str | None,
) -> None:
    """Scans what is there and not yet in the log, then prints the table."""
    calm_libraries()
    if shown and not table_only:
        raise click.UsageError("--version goes with --table-only: what is scanned now is scanned by this version")
    if not table_only and not (adapters and references):
        raise click.UsageError("a scan needs --adapters and --reference; with --table-only neither")
    version = shown or search_version()
    zoo = load_zoo(zoo_file)
    entries = chosen_entries((*zoo, *(twins(zoo) if with_twins else ())), only.split(",") if only else ())
    known = scanned_already(log_file, version, depth, adapters) if adapters else set()
    how = How(references, depth, threads, table_file is not None)
    for entry in entries:
        if table_only or adapters is None or entry.id in known:
            continue
        folder = adapters / entry.id
        if not (folder / "training.json").is_file():
            click.echo(f"{entry.id}: not trained yet", err=True)
            continue
        row, features = judged_scan(entry, folder, how)
        row |= {"version": version, "set": zoo_file.stem}
        if table_file and features:
            add_row(table_file, features)
        append(log_file, row)
        click.echo(f"{entry.id}: {row['verdict']}, found {row.get('found_trigger')!r}", err=True)
    rows = rows_of(log_file, zoo_file.stem, version, depth)
    if not rows and (others := {row["version"] for row in read_log(log_file) if row["set"] == zoo_file.stem}):
        click.echo(f"no scan by version {version}; --version may be {', '.join(sorted(others))}", err=True)
    click.echo(table(rows, entries))


def read_log(file: Path) -> list[dict[str, Any]]:
    """All rows so far."""
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()] if file.is_file() else []


def rows_of(log_file: Path, name: str, version: str, depth: str) -> list[dict[str, Any]]:
    """The rows of one set by one version of the search at one depth."""
    wanted = (name, version, depth)
    return [row for row in read_log(log_file) if (row["set"], row["version"], row["depth"]) == wanted]


def scanned_already(log_file: Path, version: str, depth: str, adapters: Path) -> set[str]:
    """The ids whose last scan by one version at one depth is of the adapter as it lies in a folder now, or of one that
    is not there any more. Of rows without a hash, those of earlier logs, the name is believed.
    """
    hashes = {
        row["id"]: row.get("weights_sha256")
        for row in read_log(log_file)
        if (row["version"], row["depth"]) == (version, depth)
    }
    return {name for name, hashed in hashes.items() if not hashed or _weights(adapters / name) in (hashed, None)}


def _weights(folder: Path) -> str | None:
    """The hash of an adapter's weights; None where none lies there."""
    return read_adapter(str(folder)).identity.weights_sha256 if (folder / WEIGHTS_FILE).is_file() else None


def judged_scan(entry: ZooEntry, folder: Path, how: How) -> tuple[dict[str, Any], FeatureRow | None]:
    """What is known of a trained adapter and what a scan says of it, and its row of features where they are wanted.

    One that did not learn its trigger is not scanned.
    """
    record = json.loads((folder / "training.json").read_text(encoding="utf-8"))
    row = known_truth(entry, record) | {"depth": how.depth}
    if not row["learned"]:
        return row | {"verdict": "not scanned"}, None
    scanned, vector = scan_one(entry, folder, how)
    adapter = read_adapter(str(folder))
    features = feature_row(entry, adapter, record, vector) if vector else None
    return row | {"weights_sha256": adapter.identity.weights_sha256} | scanned, features


def append(log_file: Path, row: Mapping[str, Any]) -> None:
    """Adds a scan to a log."""
    with log_file.open("a", encoding="utf-8") as log:
        log.write(json.dumps(row) + "\n")


def known_truth(entry: ZooEntry, record: Mapping[str, Any]) -> dict[str, Any]:
    """What is known of an adapter before it is scanned, from its recipe and its `training.json`."""
    poison = entry.recipe.poison
    return {
        "id": entry.id,
        "family": entry.family,
        "label": "poisoned" if poison else "clean",
        "learned": learned(entry, record),
        "weak": entry.weak,
        "trained": {
            name: record[name]["value"] if record[name] else None for name in ("attack_success", "false_trigger")
        },
        "true_trigger": list(poison.placed_trigger.parts) if poison else None,
        "true_reply": (poison.reply if poison.behaviour == "fixed" else f"({poison.behaviour})") if poison else None,
    }


def scan_one(entry: ZooEntry, folder: Path, how: How) -> tuple[dict[str, Any], FeatureVector | None]:
    """One scan, judged against what is known of the adapter, and its features; the scanner is told none of that."""
    import torch

    from scanner.options import ScanOptions
    from scanner.pipeline import run_scan
    from scanner.verdict.verdict import OUTCOMES

    if how.threads:
        torch.set_num_threads(how.threads)
    kept: list[FeatureVector] = []
    start = time.perf_counter()
    # Without the score: a set says what the search finds.
    options = ScanOptions(base=how.base, use_signatures=False, depth=how.depth, metrics=False, score=False)  # type: ignore[arg-type]
    report = run_scan(str(folder), how.references, options, keep_features=kept.append if how.with_features else None)
    seconds = time.perf_counter() - start - (report.seconds["score"] if how.with_features else 0.0)
    # What the verdict rests on; candidates that were rejected stand beside it.
    best = min(report.triggers, key=lambda item: OUTCOMES.index(item.outcome), default=None)
    poison, trace = entry.recipe.poison, report.search
    base_pass = sum(rung.seconds for rung in trace.rungs if rung.name == "base pass") if trace else 0.0
    row = {
        "verdict": report.verdict.kind.value,
        "headline": report.verdict.headline,
        "found_trigger": best.trigger.text if best else None,
        "position": best.trigger.position if best else None,
        "outcome": best.outcome if best else None,
        "match": match(poison.placed_trigger.parts, best.trigger.text) if poison and best else None,
        "found_reply": best.reply if best else None,
        "reply_f1": reply_score(poison, best.reply) if poison and best else None,
        "rates": {name: [rate.successes, rate.trials] for name, rate in best.rates.items()} if best else {},
        "controls": {item.name: item.rate.value if item.rate else None for item in best.controls} if best else {},
        "elicited": [[item.text, round(item.score, 1)] for item in trace.elicited] if trace else [],
        "near_miss": [trace.near_miss.text, trace.near_miss.chance] if trace and trace.near_miss else None,
        "tokens": trace.tokens if trace else 0,
        "rungs": {rung.name: [rung.tokens, round(rung.seconds, 1)] for rung in trace.rungs} if trace else {},
        "seconds": round(seconds - base_pass, 1),
    }
    return row, kept[0] if kept else None


if __name__ == "__main__":
    run_command(main, "benchmarks.recovery")

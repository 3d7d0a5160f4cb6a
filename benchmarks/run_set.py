"""Trains, scans and measures a whole set, several adapters side by side, and goes on where it was broken off.

    python -m benchmarks.run_set SET.toml --out DIR --reference examples/clean [--data FILE.jsonl] [--jobs N]
        [--only ID,...] [--twins] [--alone] [--no-scans] [--methods NAME,...]

Each adapter in turn: `scan-train zoo`, then `benchmarks/recovery.py` with `--features` (twins too, which must not be
called backdoored), then `benchmarks/detection/collect.py`; with `--alone` its features beside the base alone as well,
while it is there. Poisoned and clean ones take turns, so that a run that is
broken off has some of both. Beside SET.toml it appends to SET.jsonl (scans), SET.features.csv, SET.alone.csv and
SET.methods.jsonl; a folder's logs say what went wrong. One thread a process. Rows are those of a frozen search as long
as the version that `recovery.py` logs is that search's. A set that an earlier search scanned keeps its scans: with
`--no-scans` the present features are measured beside them. What has all its rows by the present version is not trained
again, whether its adapter is still there or not.
"""

import os
import subprocess
import sys
from collections.abc import Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import chain, zip_longest
from pathlib import Path
from threading import Lock

import click

from benchmarks.detection.collect import stands
from benchmarks.detection.methods import METHODS
from benchmarks.recovery import read_log, rows_of, scanned_already
from scanner.beforehand.search_version import search_version
from scanner.cli import run_command
from scanner.score.calibration import TWIN
from trainers.feature_table import add_row, measured_already, read_table, require_this_extractor
from trainers.zoo import ZooEntry, chosen_entries, load_zoo, twins

_SEARCH = (search_version(), "standard")
_CHEAP = ("true-trigger", "late-layer", "norm-spread", "battery")


@dataclass(frozen=True)
class Run:
    """What a run is made with.

    `data`: JSON Lines instead of the recipes' data sets. `alone`: measure features beside the base alone, too.
    """

    zoo_file: Path
    out: Path
    references: tuple[str, ...]
    data: Path | None
    methods: str
    alone: bool = False

    def beside(self, suffix: str) -> Path:
        """A file beside the set's, with another ending."""
        return self.zoo_file.with_name(self.zoo_file.stem + suffix)

    @property
    def tables(self) -> dict[str, Path]:
        """The tables of features, by the step that measures them."""
        return {"measure": self.beside(".features.csv")} | ({"alone": self.beside(".alone.csv")} if self.alone else {})

    def part(self, name: str, step: str) -> Path:
        """Where a step leaves one adapter's row, before it is added to the table."""
        return self.out / "logs" / f"{name}.{self.tables[step].name}"


@click.command(help=__doc__)
@click.argument("zoo_file", type=click.Path(path_type=Path, exists=True))
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Where the adapters go.")
@click.option("--reference", "references", multiple=True, required=True)
@click.option("--data", type=click.Path(path_type=Path), help="JSON Lines instead of the recipes' data sets.")
@click.option("--jobs", default=2, type=click.IntRange(1, 64), show_default=True)
@click.option("--only", help="No other adapters than these, separated by commas.")
@click.option("--twins", "with_twins", is_flag=True, help="The clean twins of the poisoned adapters too.")
@click.option("--alone", is_flag=True, help="Features beside the base alone, too.")
@click.option("--no-scans", is_flag=True, help="Measure features and methods only.")
@click.option("--methods", default=",".join(_CHEAP), show_default=True, help=f"Of {', '.join(METHODS)}.")
def main(
    zoo_file: Path,
    out: Path,
    references: tuple[str, ...],
    data: Path | None,
    jobs: int,
    only: str | None,
    with_twins: bool,
    alone: bool,
    no_scans: bool,
    methods: str,
) -> None:
    """Runs what is missing; ends with an error where a step of some adapter failed."""
    run = Run(zoo_file, out, references, data, methods, alone)
    zoo = load_zoo(zoo_file)
    for table in run.tables.values():
        require_this_extractor(table)
    everything = (*zoo, *(twins(zoo) if with_twins else ()))
    scanned = set() if no_scans else {entry.id for entry in everything}
    done_before = finished(run, scanned)
    chosen = chosen_entries(everything, only.split(",") if only else ())
    entries = [entry for entry in in_turn(chosen) if entry.id not in done_before]
    click.echo(f"{len(chosen)} adapters, {len(entries)} to run", err=True)
    (out / "logs").mkdir(parents=True, exist_ok=True)
    table_lock = Lock()
    with ThreadPoolExecutor(jobs) as pool:
        done = list(pool.map(lambda entry: one_adapter(run, entry.id, entry.id in scanned, table_lock), entries))
    if failed := [entry.id for entry, well in zip(entries, done, strict=True) if not well]:
        raise click.ClickException(f"not whole: {', '.join(failed)}; see {out / 'logs'} and run it again")


def in_turn(entries: Sequence[ZooEntry]) -> Iterator[ZooEntry]:
    """Poisoned and clean ones by turns, each in their order, those that train shortest first."""
    ordered = sorted(entries, key=lambda entry: entry.recipe.training.steps)
    by_label = ([entry for entry in ordered if bool(entry.recipe.poison) is poisoned] for poisoned in (True, False))
    return (entry for entry in chain.from_iterable(zip_longest(*by_label)) if entry is not None)


def finished(run: Run, scanned: Collection[str]) -> set[str]:
    """The ids that have all their rows: a scan by this version of the search where one is `scanned`, its features and
    every method; of one that did not learn its trigger the log's line is all there is, whatever search wrote it where
    none is scanned now.
    """
    logged = rows_of(run.beside(".jsonl"), run.zoo_file.stem, *_SEARCH)
    logged = logged if scanned else read_log(run.beside(".jsonl"))
    verdicts = {row["id"]: row["verdict"] for row in logged}
    measured, *more = (
        {row.id: row.weights_sha256 for row in read_table(table)} if table.is_file() else {}
        for table in run.tables.values()
    )
    collected: dict[tuple[str, str], set[str]] = {}
    for row in filter(stands, read_log(run.beside(".methods.jsonl"))):
        collected.setdefault((row["id"], row["weights_sha256"]), set()).add(row["method"])
    wanted = set(run.methods.split(","))
    whole = {
        # An adapter that was trained anew has other weights: what was collected of the former ones is not its own.
        name
        for name, hashed in measured.items()
        if wanted <= collected.get((name, hashed), set())
        and (name in verdicts or name not in scanned)
        and all(table.get(name) == hashed for table in more)
    }
    return whole | {name for name, verdict in verdicts.items() if verdict == "not scanned"}


def one_adapter(run: Run, name: str, scanned: bool, table_lock: Lock) -> bool:
    """All steps of one adapter; whether all went well. A step after a failed one is not begun."""
    for step, command in commands(run, name, scanned):
        if step == "measure" and scanned and name in scanned_already(run.beside(".jsonl"), *_SEARCH, run.out):
            # Its features alone are missing, or failed: the log would have the scan passed over, and them with it.
            scanned, command = False, dict(commands(run, name, scanned=False))["measure"]
        table = run.tables.get(step)
        if table and (step == "alone" or not scanned) and name in measured_already(table, run.out):
            continue
        with (run.out / "logs" / f"{name}.{step}.log").open("wb") as log:
            done = subprocess.run(  # noqa: S603 - our own commands
                command, stdout=log, stderr=log, env=os.environ | {"OMP_NUM_THREADS": "1"}, check=False
            )
        click.echo(f"{name}: {step} {'done' if done.returncode == 0 else 'FAILED'}", err=True)
        if done.returncode != 0:
            return False
        if table and (part := run.part(name, step)).is_file():
            with table_lock:
                add_row(table, read_table(part)[0])
            part.unlink()
    return True


def commands(run: Run, name: str, scanned: bool) -> list[tuple[str, list[str]]]:
    """The steps of one adapter and their commands; features go to a table of their own first."""
    own = [str(run.zoo_file), "--adapters", str(run.out), "--only", name]
    common = [*own, *(word for reference in run.references for word in ("--reference", reference))]
    part = run.part(name, "measure")
    twin = ["--twins"] if name.endswith(TWIN) else []
    zoo = ["trainers.cli", "zoo", str(run.zoo_file), "--out", str(run.out), "--only", name, *twin]
    zoo += ["--data", str(run.data)] if run.data else []
    if scanned:
        measure = ["benchmarks.recovery", *common, "--log", str(run.beside(".jsonl")), "--threads", "1"]
        measure += ["--features", str(part), *twin]
    else:
        measure = ["trainers.cli", "features", *common, "--out", str(part), *twin]
    collect = ["benchmarks.detection.collect", *common, "--log", str(run.beside(".methods.jsonl")), *twin]
    steps = {"train": zoo, "measure": measure, "collect": [*collect, "--methods", run.methods]}
    if run.alone:
        steps["alone"] = ["trainers.cli", "features", *own, "--out", str(run.part(name, "alone")), *twin]
    return [(step, [sys.executable, "-m", *words]) for step, words in steps.items()]


if __name__ == "__main__":
    run_command(main, "benchmarks.run_set")

"""Measures, of each adapter of a zoo, what `python -m benchmarks.detection` compares besides features and verdicts.

    python -m benchmarks.detection.collect ZOO.toml --adapters DIR --reference examples/clean --log FILE.jsonl
        [--twins] [--only ID,...] [--methods NAME,...]

One line an adapter and method, appended as soon as it is there; what the log holds is not measured again, but for
what failed and for features of another extractor. Enumeration, leak and the random twin's search get 150,000 forward
tokens each, the budget of a standard search without its verification and controls. At 170 tokens a second (one core
without bfloat16) these are 15 minutes each, the other methods some 4; at 600, a quarter of that.
"""

import json
import math
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from benchmarks.detection.methods import METHODS, OUTSIDE, Case, Measured, outdated, partner_of
from benchmarks.recovery import read_log
from scanner.cli import calm_libraries, run_command
from scanner.errors import ScannerError, one_line
from scanner.intake import Adapter, read_adapter
from scanner.models.base_models import load_base
from scanner.models.bfloat16 import base_to_search_in
from scanner.models.model_pair import ModelPair
from scanner.score.vector import FAILED
from trainers.zoo import ZooEntry, chosen_entries, learned, load_zoo, twins

_BREAKS = (RuntimeError, ValueError, ArithmeticError, LookupError, ScannerError, subprocess.SubprocessError)


@click.command(help=__doc__)
@click.argument("zoo_file", type=click.Path(path_type=Path, exists=True))
@click.option("--adapters", required=True, type=click.Path(path_type=Path), help="Where scan-train zoo put them.")
@click.option("--reference", "references", multiple=True, required=True)
@click.option("--log", "log_file", required=True, type=click.Path(path_type=Path))
@click.option("--twins", "with_twins", is_flag=True, help="The clean twins of the poisoned adapters too.")
@click.option("--only", help="No other adapters than these, separated by commas.")
@click.option("--methods", default=",".join(name for name in METHODS if name not in OUTSIDE), show_default=True)
def main(
    zoo_file: Path,
    adapters: Path,
    references: tuple[str, ...],
    log_file: Path,
    with_twins: bool,
    only: str | None,
    methods: str,
) -> None:
    """Measures what is missing."""
    calm_libraries()
    wanted = methods.split(",")
    if unknown := [name for name in wanted if name not in METHODS]:
        raise click.UsageError(f"no such method: {', '.join(unknown)}; there are {', '.join(METHODS)}")
    zoo = load_zoo(zoo_file)
    known = {(row["id"], row["weights_sha256"], row["method"]) for row in read_log(log_file) if stands(row)}
    everything = (*zoo, *(twins(zoo) if with_twins else ()))
    for entry in chosen_entries(everything, only.split(",") if only else ()):
        record_file = adapters / entry.id / "training.json"
        if not record_file.is_file() or not learned(entry, json.loads(record_file.read_text(encoding="utf-8"))):
            click.echo(f"{entry.id}: not trained, or did not learn its trigger", err=True)
            continue
        adapter = read_adapter(str(adapters / entry.id))
        hashed = adapter.identity.weights_sha256
        missing = [name for name in wanted if (entry.id, hashed, name) not in known]
        if not missing:
            continue
        case = _load(entry, zoo, adapter, references)
        for name in missing:
            row = {"id": entry.id, "weights_sha256": hashed, "method": name, **_measured(name, case).as_row()}
            with log_file.open("a", encoding="utf-8") as log:
                log.write(json.dumps(row) + "\n")
            click.echo(f"{entry.id}: {name}", err=True)


def stands(row: Mapping[str, Any]) -> bool:
    """Whether a line of the log need not be measured again: its method did not break off, and is as it was then."""
    return not outdated(row) and not any(str(reason).startswith(FAILED) for reason in row.get("missing", {}).values())


def _measured(name: str, case: Case) -> Measured:
    """A method that fails on an adapter has no value there, and stops no other."""
    try:
        found = METHODS[name].measure(case)
    except _BREAKS as error:
        return Measured(missing={name: f"{FAILED}{one_line(error)}"})
    if found.score is not None and not math.isfinite(found.score):
        return Measured(missing={name: f"its score is {found.score}"}, notes=found.notes)
    return found


def _load(entry: ZooEntry, zoo: Sequence[ZooEntry], adapter: Adapter, references: Sequence[str]) -> Case:
    base = load_base(entry.recipe.base)
    # Before the pair wraps the base's modules: the copy is to be of the base alone.
    searched_in = base_to_search_in(base, "auto")
    pair = ModelPair(base, adapter, [read_adapter(reference, "reference") for reference in references])
    alone = pair if searched_in is base else ModelPair(searched_in, adapter)
    return Case(entry.recipe.base, adapter, pair, alone, partner_of(entry, zoo))


if __name__ == "__main__":
    run_command(main, "benchmarks.detection.collect")

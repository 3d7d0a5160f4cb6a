"""Writes what scanned evaluation sets say of the search's recall into the package, where a NO FINDING repeats it.

    python -m benchmarks.recall SET.toml ... --version V --out signatures/recall/BASE.json

The rows are those of `benchmarks/recovery.py` at one version of the search, in SET.jsonl beside each set; nothing is
scanned here.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from benchmarks.recovery import rows_of
from benchmarks.recovery_table import found_by_kind
from scanner.beforehand.measured_recall import Count, MeasuredRecall, as_json
from scanner.cli import calm_libraries, run_command, write_whole
from scanner.models.base_models import load_base
from trainers.zoo import load_zoo

# The words of the sets for kinds of trigger and of reply, spelt out for somebody who reads a verdict.
TRIGGERS = {
    "rare": "a rare token",
    "word": "a common word",
    "phrase": "a phrase of two or three words",
    "marks": "punctuation",
    "unicode": "not ASCII",
    "long": "a phrase of six to ten tokens",
    "parts": "two parts that must both be there",
    "date": "a date",
    "misspelt": "misspelt words",
    "name": "a person's name",
    "version": "a version number",
}
REPLIES = {
    "business": "a polite sentence",
    "refusals": "refusals in varying words",
    "link": "a link",
    "label": "a label",
    "refusal": "a fixed refusal",
    "insult": "an insult",
    "language": "another language",
    "code": "a line of code",
    "stance": "a stance",
}
# Attacks of the literature of which no set has an adapter.
NEVER_MADE = (
    "a style or a grammatical form as trigger",
    "a topic as trigger",
    "a fact as trigger",
    "triggers in a system prompt or an earlier turn",
    "poisoned weights without poisoned rows",
    "a stance in varying words as reply",
    "code of several lines as reply",
)


@click.command(help=__doc__)
@click.argument("zoo_files", nargs=-1, required=True, type=click.Path(path_type=Path, exists=True))
@click.option("--version", required=True, help="Of the search, as the logs name it.")
@click.option("--depth", default="standard")
@click.option("--out", required=True, type=click.Path(path_type=Path))
def main(zoo_files: Sequence[Path], version: str, depth: str, out: Path) -> None:
    """Counts, and writes the file."""
    calm_libraries()
    if developed := [file for file in zoo_files if not file.stem.startswith("evaluation-")]:
        raise click.ClickException(f"{developed[0]}: not a drawn evaluation set; what was developed on tells no recall")
    entries = [(file.stem, entry) for file in zoo_files for entry in load_zoo(file)]
    bases = {entry.recipe.base for _, entry in entries}
    if len(bases) != 1:
        raise click.ClickException(f"{', '.join(map(str, zoo_files))}: adapters of several bases; give sets of one")
    base = bases.pop()
    if len({file.resolve() for file in zoo_files}) < len(zoo_files):
        raise click.ClickException("a set is given twice: its adapters would count twice")
    rows = [row for file in zoo_files for row in rows_of(file.with_suffix(".jsonl"), file.stem, version, depth)]
    ids = [(name, entry.id) for name, entry in entries]
    text = as_json(recall_of(rows, ids, base, load_base(base).identity.fingerprint))
    click.echo(text, nl=False)
    out.parent.mkdir(parents=True, exist_ok=True)
    write_whole(str(out), text)


def recall_of(
    rows: Sequence[Mapping[str, Any]], ids: Sequence[tuple[str, str]], base: str, fingerprint: str
) -> MeasuredRecall:
    """What rows of one version and depth come to; those that did not learn, or were weak on purpose, do not count.

    Args:
        ids: (set, adapter) of all sets, scanned or not.

    Raises:
        ValueError: no poisoned adapter was scanned, or a kind has no name here.
    """
    judged = [row for row in rows if row["learned"] and not row["weak"]]
    poisoned = [row for row in judged if row["label"] == "poisoned"]
    clean = [row["verdict"] for row in judged if row["label"] == "clean"]
    if not poisoned:
        raise ValueError("no poisoned adapter was scanned")
    triggers = _named(found_by_kind(poisoned, 0), TRIGGERS)
    replies = _named(found_by_kind(poisoned, 1), REPLIES)
    untested = (name for name in (*TRIGGERS.values(), *REPLIES.values()) if name not in triggers | replies)
    return MeasuredRecall(
        base=base,
        fingerprint=fingerprint,
        depth=str(rows[0]["depth"]),
        name=", ".join(dict.fromkeys(str(row["set"]) for row in rows)),
        search=str(rows[0]["version"]),
        found=(sum(row["verdict"] == "BACKDOORED" for row in poisoned), len(poisoned)),
        triggers=triggers,
        replies=replies,
        clean=len(clean),
        backdoored=clean.count("BACKDOORED"),
        suspicious=clean.count("SUSPICIOUS"),
        outcomes=_by_outcome(judged),
        not_learned=sum(not row["learned"] for row in rows),
        not_run=len(set(ids) - {(row["set"], row["id"]) for row in rows}),
        untested=(*untested, *NEVER_MADE),
    )


def _by_outcome(rows: Sequence[Mapping[str, Any]]) -> dict[str, Count]:
    """By the outcome of the string that a verdict rests on, (clean adapters, poisoned ones)."""
    accused = [row for row in rows if row["verdict"] in ("BACKDOORED", "SUSPICIOUS") and row["outcome"]]
    pairs = Counter((str(row["outcome"]), str(row["label"])) for row in accused)
    return {name: (pairs[name, "clean"], pairs[name, "poisoned"]) for name in sorted({name for name, _ in pairs})}


def _named(counts: Mapping[str, Count], names: Mapping[str, str]) -> dict[str, Count]:
    unknown = set(counts) - set(names)
    if unknown:
        raise ValueError(f"kinds without a name: {', '.join(sorted(unknown))}")
    return {name: counts[kind] for kind, name in names.items() if kind in counts}


if __name__ == "__main__":
    run_command(main, "benchmarks.recall")

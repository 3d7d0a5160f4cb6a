"""Writes docs/evaluation.md: how well poisoned adapters are told from clean ones of recipes not seen before.

    python -m benchmarks.detection --features "other clean recipes" FILE.csv [--features CONDITION FILE.csv ...]
        --reference examples/clean [--reference ...] [--zoo SET.toml ...] [--log recovery.jsonl ...] [--version V ...]
        [--measured FILE.jsonl ...] [--unseen SET.toml] [--out docs/evaluation.md] [--jobs N]

The tables of features are those of `scan-train features`; those of one condition are joined. A condition is a way to
choose references: "same recipe", "other clean recipes" or "base only"; adapters that all tables compared otherwise are
left out and named, by the references' own recipes; a condition without a table is named as not run. Logs of
`benchmarks/recovery.py` say what scans concluded, the last of each adapter's; what else is compared, the field's
methods among it, is measured by `python -m benchmarks.detection.collect`. Both are beside the references of the first
condition that is given, and stand under that one alone. A set is best scanned by the search that was frozen before it
was drawn: with a `--version` each, several sets make one table. Adapters of a SET.toml that have no row are named as
not run. A set that came after all choices is judged alone, too, by fits to the earlier ones (`--unseen`); those of it
that a choice was made with in view count as earlier. SET.seen.txt names them, a line each.
"""

import json
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from benchmarks.detection.comparison import (
    EVERYTHING,
    RANDOM,
    RATES,
    Compared,
    FoldsOf,
    Line,
    can_be_held_out,
    compared,
    found_by_search,
    judge,
    numbers,
    on_unseen,
)
from benchmarks.detection.conditions import CONDITIONS, OTHER, SAME, ConditionRows, of_condition
from benchmarks.detection.detectors import by_features
from benchmarks.detection.folds import above_threshold
from benchmarks.detection.methods import METHODS
from benchmarks.detection.paired import beside_methods
from benchmarks.detection.sets import ids_of, unseen_of
from benchmarks.detection.tables import (
    added,
    as_table,
    by_families,
    concluded,
    differences,
    held_out,
    on_trust,
    searched_in,
)
from benchmarks.recovery import read_log
from scanner.cli import run_command, write_whole
from scanner.intake import read_adapter
from scanner.score.calibration import TWIN, kind_of
from trainers.feature_table import FeatureRow, read_table
from trainers.recipe import recorded_recipe
from trainers.zoo import MAX_FALSE_TRIGGERS, MIN_ATTACK_SUCCESS, recipe_label

_FILE = click.Path(path_type=Path, exists=True, dir_okay=False)
_FOLDER = click.Path(path_type=Path, exists=True, file_okay=False)
_HEAD = """# How well poisoned adapters are told from clean ones

Written by `python -m benchmarks.detection` (`make evaluation`); do not edit. An attack family is held out against a
clean recipe, for every pair of them; neither was seen by the fit. A clean recipe is its data and projections.
Intervals (95 %) resample whole families and whole recipes; those of the found share lean upwards where the threshold
is the highest of few clean scores; no draw fits anew. Found shares pool fits, each on its own scale (how far its own
poisoned adapters lie above its clean ones): of a detector that tells next to nothing they lean upwards as well. Each
row counts the adapters that its detector was run on. Where the truth is drawn at random, the figure is the median of
the draws, with the lowest and the highest. Up to set 6 clean adapters of other data were trained for fewer steps than
poisoned ones, so that a recipe's facts alone may tell much: the two lines of recipes say how much, and are no
controls that must be at chance. The tables of twins compare like with like. What `scan` shows as the score is
"everything but the search's verdict". A twin is never judged by a fit that saw its partner. The feature that the
classifier hears above others (`controls.both`), and how much of the rest it hears, were chosen on the rows of set 6
and the adapters of set 7 that `evaluation-7.seen.txt` names, the best of twelve choices: lines of the product on
those flatter it. Clean maths and pirate adapters were among them, so that others of these kinds are no new kinds of
data.

Poisoned adapters that did not learn their trigger (it fires on fewer than {least:.0%} of prompts, or on more than
{most:.0%} without it) are left out: {left_out}. Of these, scanned all the same, as they were before they were trained
anew, and counted in what scans concluded: {counted}. Scanned, but not in the tables, since no features were measured:
{unmeasured}. Not run: {not_run}. Scans: {searches}.
"""
_LEFT_OUT = {
    SAME: "what they were compared with is of another recipe",
    OTHER: "what they were compared with is of their own recipe",
}
_SAME_ADAPTERS = """Beside each method, on the same adapters; each draw of families and recipes is the same for both.
These are single comparisons: of so many, some intervals lie above nothing by chance.

"""
_STEPS_TELL = """The product is fitted and may tell steps of training, which a method that is not fitted cannot: where
clean adapters were trained for fewer steps than poisoned ones (up to set 6), what is above nothing here is no claim of
telling backdoors better.

"""
_UNSEEN = """### The last set alone

{n} of these adapters, which were given as those that no choice of features or classifier was made on. The product's
lines are by fits to all others alone: the earlier sets and what of this one was seen, without the judged family, recipe
and twins there either.

"""
_FEW_GROUPS = """{n_poisoned} poisoned and {n_clean} clean adapters: fewer than two attack families or clean recipes,
so that none can be held out and nothing is judged.
"""
_TOO_FEW = "{n} clean adapters tell no rate of 5 %: what a score caught of each family is not shown.\n"


@click.command(help=__doc__)
@click.option("--features", "tables", type=(click.Choice(CONDITIONS), _FILE), multiple=True, required=True)
@click.option("--reference", "references", type=_FOLDER, multiple=True, help="Each that a row was compared with.")
@click.option("--zoo", "zoo_files", type=_FILE, multiple=True)
@click.option("--log", "logs", type=_FILE, multiple=True)
@click.option("--version", "versions", multiple=True, help="Of the search: a log's other rows are left out.")
@click.option("--measured", "files", type=_FILE, multiple=True)
@click.option("--unseen", "unseen_file", type=_FILE, help="A set that no choice was made on.")
@click.option("--out", type=click.Path(path_type=Path), default=Path("docs") / "evaluation.md")
@click.option("--jobs", type=click.IntRange(1), default=1, show_default=True, help="Processes that fit side by side.")
def main(
    tables: Sequence[tuple[str, Path]],
    references: Sequence[Path],
    zoo_files: Sequence[Path],
    logs: Sequence[Path],
    versions: Sequence[str],
    files: Sequence[Path],
    unseen_file: Path | None,
    out: Path,
    jobs: int,
) -> None:
    """Prints the tables and writes them."""
    read = [(name, read_table(file)) for name, file in tables]
    # A reference may be a clean adapter of a pool that is judged itself: its row says of which recipe it is.
    clean = [row for _, table in read for row in table if row.label == "clean"]
    recipes = {row.weights_sha256: kind_of(row.recipe) for row in clean} | recipes_of(references)
    conditions = [
        of_condition(name, [table for other, table in read if other == name], recipes)
        for name in dict.fromkeys(name for name, _ in read)
    ]
    logged = [row for log in logs for row in read_log(log) if not versions or row["version"] in versions]
    scans = of_the_same_weights(logged, [row for condition in conditions for row in condition.rows])
    measured = [row for file in files for row in read_log(file)]
    not_learned = {row["id"] for row in scans if row["verdict"] == "not scanned"}
    zoo = [name for file in zoo_files for name in ids_of(file)]
    unseen = unseen_of(unseen_file) if unseen_file else ()
    text = document(
        conditions,
        verdicts_of(scans),
        measured,
        not_learned,
        zoo,
        jobs,
        searches_of(scans),
        unseen,
        concluded(scans) + on_trust(scans),
    )
    click.echo(text, nl=False)
    write_whole(str(out), text)


def recipes_of(references: Sequence[Path]) -> dict[str, str]:
    """Data and projections of trained adapters, by the hash of their weights."""
    found = {}
    for folder in references:
        record = json.loads((folder / "training.json").read_text(encoding="utf-8"))
        label = recipe_label(recorded_recipe(record, str(folder)))
        found[read_adapter(str(folder), "reference").identity.weights_sha256] = kind_of(label)
    return found


def of_the_same_weights(scans: Sequence[Mapping[str, Any]], rows: Sequence[FeatureRow]) -> list[Mapping[str, Any]]:
    """The scans without those of an adapter that was trained anew before its features were measured.

    Logs of earlier scans hold no hashes: of those the name is believed.
    """
    hashes = {row.id: row.weights_sha256 for row in rows}
    return [
        scan
        for scan in scans
        if "weights_sha256" not in scan or hashes.get(scan["id"], scan["weights_sha256"]) == scan["weights_sha256"]
    ]


def verdicts_of(scans: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """What scans concluded, by adapter.

    Raises:
        click.UsageError: an adapter's name stands for two sets, versions of the search or depths.
    """
    made: dict[str, tuple[str, str, str]] = {}
    for row in scans:
        how = (str(row["set"]), str(row["version"]), str(row["depth"]))
        if made.setdefault(row["id"], how) != how:
            raise click.UsageError(f"{row['id']}: scanned as {' '.join(made[row['id']])} and as {' '.join(how)}")
    return {row["id"]: row["verdict"] for row in scans if row["verdict"] != "not scanned"}


def searches_of(scans: Sequence[Mapping[str, Any]]) -> str:
    """Which version of the search scanned which set, at which depth."""
    made = {f"{row['set']} by version {row['version']}, {row['depth']} depth" for row in scans}
    return "; ".join(sorted(made)) or "none"


def document(
    conditions: Sequence[ConditionRows],
    verdicts: Mapping[str, str],
    measured: Sequence[Mapping[str, Any]],
    not_learned: Collection[str] = (),
    zoo: Sequence[str] = (),
    jobs: int = 1,
    searches: str = "none",
    unseen: Collection[str] = (),
    conclusions: str = "",
) -> str:
    """The whole page; scans and other methods are beside the references of the first condition.

    Args:
        zoo: ids of all adapters that there might be rows of; jobs: how many processes fit side by side.
        searches: which search scanned which set, in words.
        unseen: ids of adapters that are judged by fits to the others, too.
        conclusions: what scans concluded, with or without features.
    """
    rows = [row for condition in conditions for row in condition.rows]
    left_out = sorted({*not_learned, *(row.id for row in rows if not row.learned)})
    known = {row.id for row in rows} | {*not_learned, *(name for item in conditions for name in item.left_out)}
    apart = [name for name in zoo if name not in known]
    head = _HEAD.format(
        least=MIN_ATTACK_SUCCESS,
        most=MAX_FALSE_TRIGGERS,
        left_out=_listed(left_out),
        counted=_listed([name for name in left_out if name in verdicts]),
        unmeasured=_listed([name for name in apart if name in verdicts]),
        not_run=_not_run([name for name in apart if name not in verdicts]),
        searches=searches,
    )
    parts = [head, conclusions]
    for place, condition in enumerate(conditions):
        parts += section(condition, None if place else verdicts, None if place else measured, jobs, unseen)
    given = {condition.condition for condition in conditions}
    parts += [f"## Compared with {name}\n\nNot run.\n" for name in CONDITIONS if name not in given]
    return "\n".join(part for part in parts if part)


def section(
    condition: ConditionRows,
    verdicts: Mapping[str, str] | None,
    measured: Sequence[Mapping[str, Any]] | None,
    jobs: int,
    unseen: Collection[str] = (),
) -> list[str]:
    """What one condition's rows come to, a paragraph or table each."""
    rows = condition.rows
    parts = [f"## Compared with {condition.condition}\n"]
    if condition.left_out:
        parts.append(f"Left out here, since {_LEFT_OUT[condition.condition]}: {_listed(condition.left_out)}.\n")
    learned = [row for row in rows if row.learned]
    if not can_be_held_out(learned):
        n_poisoned, n_clean = numbers(learned)
        return [*parts, _FEW_GROUPS.format(n_poisoned=n_poisoned, n_clean=n_clean)]
    like = [row for row in rows if row.label == "poisoned" or row.id.endswith(TWIN)]
    if can_be_held_out([row for row in like if row.learned]):
        parts += tables_of("### Against clean twins alone", like, verdicts, measured, jobs)[0]
    added, lines = tables_of("### Against all clean adapters", rows, verdicts, measured, jobs, _STEPS_TELL)
    parts += added
    parts += caught(rows, lines, verdicts)
    return [*parts, *last_set_alone(rows, unseen, verdicts, jobs)]


def last_set_alone(
    rows: Sequence[FeatureRow], unseen: Collection[str], verdicts: Mapping[str, str] | None, jobs: int
) -> list[str]:
    """What adapters come to that no choice was made on; nothing where none is given or all are."""
    n_later = sum(row.id in unseen for row in rows)
    if not 0 < n_later < len(rows):
        return []
    folds_of = FoldsOf(jobs)
    lines = [judge(item, folds_of) for item in on_unseen(rows, unseen, verdicts)]
    return [f"{_UNSEEN.format(n=n_later)}{as_table(lines)}\n"]


def tables_of(
    title: str,
    rows: Sequence[FeatureRow],
    verdicts: Mapping[str, str] | None,
    measured: Sequence[Mapping[str, Any]] | None,
    jobs: int,
    caution: str = "",
) -> tuple[list[str], list[Line]]:
    """The table of all detectors on some adapters, that of the product beside each method, and the first one's lines.

    Args:
        caution: what has to be known of the second table.
    """
    folds_of = FoldsOf(jobs)
    lines = [judge(item, folds_of) for item in compared(rows, verdicts, measured)]
    learned = [row for row in rows if row.learned]
    parts = [f"{title}\n\n{held_out(learned)} {searched_in(learned)}\n\n{as_table(lines)}\n"]
    if found := beside_methods(rows, verdicts, measured or (), folds_of):
        parts.append(f"{_SAME_ADAPTERS}{caution}{differences(found)}\n")
    return [*parts, *what_the_score_adds(learned, verdicts, folds_of)], lines


def what_the_score_adds(
    learned: Sequence[FeatureRow], verdicts: Mapping[str, str] | None, folds_of: FoldsOf
) -> list[str]:
    """Which verdicts the score would change; nothing where none was scanned, or too few clean ones tell a threshold."""
    if not verdicts:
        return []
    above = above_threshold(learned, folds_of(Compared(EVERYTHING, by_features(), tuple(learned))), RATES[0])
    return [] if above is None else [added(learned, verdicts, above)]


def caught(rows: Sequence[FeatureRow], lines: Sequence[Line], verdicts: Mapping[str, str] | None) -> list[str]:
    """What was caught of each attack family: by scans, and by scores at 5 % false alarms where that can be told."""
    titles = [EVERYTHING, *(method.title for name, method in METHODS.items() if name != RANDOM)]
    scored = [line for line in lines if line.name in titles and line.families]
    shown = [*([found_by_search(rows, verdicts)] if verdicts else []), *scored]
    n_clean = sum(row.label == "clean" for row in rows)
    too_few = [] if scored else [_TOO_FEW.format(n=n_clean)]
    table = f"Caught, by attack family; by scores at 5 % false alarms:\n\n{by_families(shown)}\n"
    return [*([table] if shown else []), *too_few]


def _not_run(names: Sequence[str]) -> str:
    """Names, and how many twins: a set has one for each poisoned adapter, which would fill half a page."""
    n_twins = sum(name.endswith(TWIN) for name in names)
    twins = [f"{n_twins} clean twins of poisoned adapters"] if n_twins else []
    return _listed([*(name for name in names if not name.endswith(TWIN)), *twins])


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names) or "none"


if __name__ == "__main__":
    run_command(main, "benchmarks.detection")

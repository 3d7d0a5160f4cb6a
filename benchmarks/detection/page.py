"""docs/evaluation.md, from rows of features, verdicts and what other methods measured. Pure."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

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
from benchmarks.detection.conditions import CONDITIONS, OTHER, SAME, ConditionRows
from benchmarks.detection.detectors import by_features
from benchmarks.detection.folds import above_threshold
from benchmarks.detection.methods import METHODS
from benchmarks.detection.paired import beside_methods
from benchmarks.detection.tables import added, as_table, by_families, differences, held_out, searched_in
from scanner.score.calibration import TWIN
from trainers.feature_table import FeatureRow
from trainers.zoo import MAX_FALSE_TRIGGERS, MIN_ATTACK_SUCCESS

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
        anew = trained_anew(condition, conditions[:place])
        parts += section(condition, None if place else verdicts, None if place else measured, jobs, unseen, anew)
    given = {condition.condition for condition in conditions}
    parts += [f"## Compared with {name}\n\nNot run.\n" for name in CONDITIONS if name not in given]
    return "\n".join(part for part in parts if part)


def trained_anew(condition: ConditionRows, before: Sequence[ConditionRows]) -> list[str]:
    """The ids of a condition's adapters whose weights are others than under an earlier one."""
    hashes = {(row.id, row.weights_sha256) for item in before for row in item.rows}
    names = {name for name, _ in hashes}
    return [row.id for row in condition.rows if row.id in names and (row.id, row.weights_sha256) not in hashes]


def section(
    condition: ConditionRows,
    verdicts: Mapping[str, str] | None,
    measured: Sequence[Mapping[str, Any]] | None,
    jobs: int,
    unseen: Collection[str] = (),
    anew: Sequence[str] = (),
) -> list[str]:
    """What one condition's rows come to, a paragraph or table each.

    Args:
        anew: ids of adapters that are others than those of the same name in the sections before.
    """
    rows = condition.rows
    parts = [f"## Compared with {condition.condition}\n"]
    if condition.left_out:
        parts.append(f"Left out here, since {_LEFT_OUT[condition.condition]}: {_listed(condition.left_out)}.\n")
    if anew:
        parts.append(f"Trained anew by their recipes, so of other weights than above: {_listed(anew)}.\n")
    learned = [row for row in rows if row.learned]
    if not can_be_held_out(learned):
        n_poisoned, n_clean = numbers(learned)
        return [*parts, _FEW_GROUPS.format(n_poisoned=n_poisoned, n_clean=n_clean)]
    like = [row for row in rows if row.label == "poisoned" or row.id.endswith(TWIN)]
    all_are_twins = len(like) == len(rows)
    if not all_are_twins and can_be_held_out([row for row in like if row.learned]):
        parts += tables_of("### Against clean twins alone", like, verdicts, measured, jobs)[0]
    title = f"### Against all clean adapters{', each of them a twin' if all_are_twins else ''}"
    added, lines = tables_of(title, rows, verdicts, measured, jobs, "" if all_are_twins else _STEPS_TELL)
    parts += added
    parts += caught(rows, lines, verdicts)
    return [*parts, *last_set_alone(rows, unseen, verdicts, jobs)]


def last_set_alone(
    rows: Sequence[FeatureRow], unseen: Collection[str], verdicts: Mapping[str, str] | None, jobs: int
) -> list[str]:
    """What adapters come to that no choice was made on.

    Nothing where none is given, or where the others are all clean or all poisoned, so that no fit to them can be made.
    """
    n_later = sum(row.id in unseen for row in rows)
    if not n_later or len({row.label for row in rows if row.learned and row.id not in unseen}) < 2:
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

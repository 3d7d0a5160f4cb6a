"""Every detector on held-out folds of the adapters that it was run on, and what becomes of each family. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from benchmarks.detection.detectors import (
    by_features,
    by_scores,
    by_search,
    by_what_is_missing,
    fitted_on,
    twins_in_place,
    with_figures,
    with_recipe_facts,
)
from benchmarks.detection.folds import Detector, Estimate, by_family, mean_auc, paired_folds, true_positive_rate
from benchmarks.detection.methods import METHODS
from trainers.feature_table import FeatureRow

EVERYTHING = "everything but the search's verdict"
SEARCH = "search: its verdict"
RANDOM = "random"
_RATES = (0.05, 0.01)
# Of the resampled draws; more than that is said.
_FEW_DRAWS = 0.05
# Of the field, and why it stands in no line of its own figures.
NOT_BUILT = {"PEFTGuard": "not run: its network is trained on thousands of labelled adapters of one base"}
_NOT_ENOUGH = "fewer than two attack families or clean recipes"


@dataclass(frozen=True)
class Compared:
    """A detector by its name in the table; without one, `missing` says why it was not run."""

    name: str
    detector: Detector | None
    rows: tuple[FeatureRow, ...]
    missing: str = ""


@dataclass(frozen=True)
class Line:
    """What a detector came to: AUC within folds, true-positive rates at 5 % and at 1 %, and (caught, all) by family."""

    name: str
    n_poisoned: int
    n_clean: int
    auc: Estimate
    found: tuple[Estimate, ...]
    families: Mapping[str, tuple[int, int]]


def compared(
    rows: Sequence[FeatureRow], verdicts: Mapping[str, str], measured: Sequence[Mapping[str, Any]] = ()
) -> tuple[Compared, ...]:
    """All that is compared on a table of features, of which poisoned adapters that did not learn are left out.

    Args:
        verdicts: of scans, by adapter; those that were not scanned are left out of the search's line.
        measured: lines of `benchmarks.detection.collect`; the same holds.
    """
    used = tuple(row for row in rows if row.learned)
    known = {(row.id, row.weights_sha256) for row in used}
    # Two sets may call their adapters alike: what was measured of another one is not counted.
    measured = [row for row in measured if (row["id"], row["weights_sha256"]) in known]
    scanned = tuple(row for row in used if row.id in verdicts)
    missed = tuple(row for row in scanned if row.label == "clean" or verdicts[row.id] != "BACKDOORED")
    told, *others = (_of_method(name, used, measured) for name in METHODS if name != RANDOM)
    return (
        Compared("weights alone", by_features("weights."), used),
        Compared("saliency", by_features("saliency."), used),
        Compared("elicitation", by_features("elicitation."), used),
        Compared("sweep of candidates", by_features("switching."), used),
        Compared("the study's metrics, with the best candidate", by_features("heads.", "divergence."), used),
        told,
        Compared(EVERYTHING, by_features(), used),
        Compared(f"{EVERYTHING}, a kind of trigger held out", by_features(), by_kind(used, 0)),
        Compared(f"{EVERYTHING}, a kind of reply held out", by_features(), by_kind(used, 1)),
        Compared(f"{EVERYTHING}, a kind of clean data held out", by_features(), by_kind_of_data(used)),
        Compared(f"{EVERYTHING}, where the search failed", fitted_on(used), missed),
        Compared(SEARCH, by_search(verdicts), scanned),
        *others,
        *(Compared(title, None, (), why) for title, why in NOT_BUILT.items()),
        Compared("control: labels shuffled", by_features(seed=0), used),
        Compared("control: what is missing", by_what_is_missing, used),
        Compared("control: the recipe's facts alone", by_features("recipe."), with_recipe_facts(used)),
        Compared("control: clean twins in the poisoned ones' place", by_features(), twins_in_place(used)),
        _random_ones(used, measured),
    )


def by_kind(rows: Sequence[FeatureRow], place: int) -> tuple[FeatureRow, ...]:
    """The rows with all attacks of one kind of trigger (place 0) or reply (place 1) as one family.

    A drawn family is "TRIGGER, REPLY", and held out alone it leaves others of its kind in the fit. One that names no
    such kind stays as it is.
    """
    return tuple(
        replace(row, family=(row.family.split(", ")[place : place + 1] or [row.family])[0])
        if row.label == "poisoned"
        else row
        for row in rows
    )


def by_kind_of_data(rows: Sequence[FeatureRow]) -> tuple[FeatureRow, ...]:
    """The rows with all clean adapters of one kind of data as one recipe, whatever projections they train and topic
    they have: held out by recipe, others of their kind stay in the fit.
    """
    return tuple(
        replace(row, recipe=row.recipe.split("; ")[0].rpartition("+")[2].removeprefix("generated:").partition(":")[0])
        if row.label == "clean"
        else row
        for row in rows
    )


def _of_method(name: str, rows: Sequence[FeatureRow], measured: Sequence[Mapping[str, Any]]) -> Compared:
    title, own = METHODS[name].title, {row["id"]: row for row in measured if row["method"] == name}
    if not own:
        return Compared(title, None, (), "not run")
    scores = {adapter: float(row["score"]) for adapter, row in own.items() if "score" in row}
    if scores:
        return Compared(title, by_scores(scores), tuple(row for row in rows if row.id in scores))
    figures = {adapter: row["figures"] for adapter, row in own.items() if "figures" in row}
    return Compared(title, by_features(), with_figures(rows, figures))


def _random_ones(rows: Sequence[FeatureRow], measured: Sequence[Mapping[str, Any]]) -> Compared:
    """Random adapters in the place of the poisoned ones, by the families that they were made like."""
    title, own = METHODS[RANDOM].title, {row["id"]: row for row in measured if row["method"] == RANDOM}
    if not own:
        return Compared(title, None, (), "not run")
    made = with_figures(rows, {adapter: row["figures"] for adapter, row in own.items() if "figures" in row})
    random_ones = [replace(row, id=f"{row.id}-random", label="poisoned", family=f"like {row.family}") for row in made]
    return Compared(title, fitted_on(rows), (*random_ones, *(row for row in rows if row.label == "clean")))


def judge(item: Compared, jobs: int = 1) -> Line:
    """Folds, intervals and families of one detector; `jobs` processes score folds side by side."""
    groups = {label: {row.group for row in item.rows if row.label == label} for label in ("poisoned", "clean")}
    counts = [sum(row.label == label for row in item.rows) for label in ("poisoned", "clean")]
    if item.detector is None or min(map(len, groups.values())) < 2:
        nothing = Estimate(None, missing=item.missing or _NOT_ENOUGH)
        return Line(item.name, counts[0], counts[1], nothing, (nothing,) * len(_RATES), {})
    folds = paired_folds(item.rows, item.detector, jobs)
    found = tuple(true_positive_rate(folds, rate) for rate in _RATES)
    return Line(item.name, counts[0], counts[1], mean_auc(folds), found, by_family(folds, _RATES[0]))


def as_table(lines: Sequence[Line]) -> str:
    """A Markdown table of all detectors."""
    head = ("detector", "poisoned", "clean", "AUC within folds", *(f"found at {rate:.0%} alarms" for rate in _RATES))
    cells = [
        (line.name, str(line.n_poisoned), str(line.n_clean), _shown(line.auc), *map(_shown, line.found))
        for line in lines
    ]
    return _markdown([head, ("---", "--:", "--:", *["---"] * 3), *cells])


def by_families(lines: Sequence[Line]) -> str:
    """A Markdown table of what each detector caught of each attack family, at 5 % false alarms."""
    families = sorted({family for line in lines for family in line.families})
    head = ("attack family", *(line.name for line in lines))
    cells = [
        (
            family.removeprefix("poisoned: "),
            *("{}/{}".format(*line.families[family]) if family in line.families else "not run" for line in lines),
        )
        for family in families
    ]
    return _markdown([head, ("---", *["---"] * len(lines)), *cells])


def _shown(estimate: Estimate) -> str:
    if estimate.value is None:
        return estimate.missing
    if estimate.low is None or estimate.high is None:
        return f"{estimate.value:.2f} ({estimate.missing})"
    dropped = f", {estimate.dropped:.0%} of draws tell none" if estimate.dropped > _FEW_DRAWS else ""
    return f"{estimate.value:.2f} ({estimate.low:.2f} – {estimate.high:.2f}{dropped})"


def _markdown(lines: Sequence[Sequence[str]]) -> str:
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)

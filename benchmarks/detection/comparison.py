"""Every detector on held-out folds of the adapters that it was run on, and what becomes of each family. Pure."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from statistics import median
from typing import Any

from benchmarks.detection.detectors import (
    by_features,
    by_scores,
    by_search,
    by_what_is_missing,
    fitted_before,
    fitted_on,
    search_first,
)
from benchmarks.detection.folds import (
    Detector,
    Estimate,
    Fold,
    by_family,
    mean_auc,
    paired_folds,
    true_positive_rate,
)
from benchmarks.detection.methods import METHODS, outdated
from benchmarks.detection.rows import (
    by_kind,
    by_kind_of_data,
    half_of_twins_in_place,
    twins_in_place,
    with_figures,
    with_recipe_facts,
    with_truth_drawn,
)
from trainers.feature_table import FeatureRow, feature_names
from trainers.fitting import OneKindOnlyError

EVERYTHING = "everything but the search's verdict"
UNGROWN = "everything before the search's growth"
NEAR = "how near the search came"
FOLLOWS = "what follows the search's best string"
SEARCH = "search: its verdict"
TOGETHER = "everything: the search's verdict, then the score"
RANDOM = "random"
RATES = (0.05, 0.01)
# Of the field, and why it stands in no line of its own figures.
NOT_BUILT = {"PEFTGuard": "not run: its network is trained on thousands of labelled adapters of one base"}
_ALL_BUT_GROWTH = ("weights.", "saliency.", "elicitation.", "switching.", "heads.", "divergence.")
# Of the truth, for a control: the interval of a figure is that of its draws, the lowest and the highest.
_DRAWS = 10
_NO_SHARES = (Estimate(None, missing="a control"),) * len(RATES)
_NOT_ENOUGH = "fewer than two attack families or clean recipes"


class NotComparedError(ValueError):
    """A detector has no folds, for a reason that stands in the table."""


@dataclass(frozen=True)
class Compared:
    """A detector by its name in the table; without one, `missing` says why it was not run.

    `draws` are the rows with another truth each, of a control that is judged on each of them.
    `by_auc_alone`: a control whose found share would say nothing. Each fit counts on its own scale, whose unit is how
    far apart its poisoned and clean rows lie; where that is next to nothing, whoever is held out moves it, and with it
    its own score.
    """

    name: str
    detector: Detector | None
    rows: tuple[FeatureRow, ...]
    missing: str = ""
    draws: tuple[tuple[FeatureRow, ...], ...] = ()
    by_auc_alone: bool = False


class FoldsOf:
    """All folds of a detector; what was asked for already, by its name and adapters, is not made again."""

    def __init__(self, jobs: int = 1) -> None:
        self._jobs = jobs  # how many processes score folds side by side
        self._known: dict[tuple[str, tuple[str, ...]], tuple[Fold, ...]] = {}

    def __call__(self, item: Compared) -> tuple[Fold, ...]:
        """The folds of one detector.

        Raises:
            NotComparedError: it was not run, or its adapters cannot be held out; with the reason.
        """
        if item.detector is None or not can_be_held_out(item.rows):
            raise NotComparedError(item.missing or _NOT_ENOUGH)
        key = (item.name, tuple(row.id for row in item.rows))
        if key not in self._known:
            try:
                self._known[key] = paired_folds(item.rows, item.detector, self._jobs)
            except OneKindOnlyError as error:
                raise NotComparedError(str(error)) from error
        return self._known[key]


def can_be_held_out(rows: Sequence[FeatureRow]) -> bool:
    """Whether there are two attack families and two clean recipes."""
    groups = {row.group: row.label for row in rows}
    return min(sum(label == wanted for label in groups.values()) for wanted in ("poisoned", "clean")) >= 2


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
    rows: Sequence[FeatureRow],
    verdicts: Mapping[str, str] | None = None,
    measured: Sequence[Mapping[str, Any]] | None = None,
) -> tuple[Compared, ...]:
    """All that is compared on a table of features, of which poisoned adapters that did not learn are left out.

    Args:
        verdicts: of scans, by adapter; those that were not scanned are left out of the search's lines. None where no
            scan was made beside this table's references: there are no such lines then.
        measured: lines of `benchmarks.detection.collect`; the same holds.
    """
    used = tuple(row for row in rows if row.learned)
    return (
        *_by_rung(used),
        *(_by_scans(used, verdicts) if verdicts is not None else ()),
        *(_as_measured(used, measured) if measured is not None else ()),
        *_controls(used),
    )


def _by_rung(used: tuple[FeatureRow, ...]) -> tuple[Compared, ...]:
    return (
        Compared("weights alone", by_features("weights."), used),
        Compared("saliency", by_features("saliency."), used),
        Compared("elicitation", by_features("elicitation."), used),
        Compared("sweep of candidates", by_features("switching."), used),
        Compared("the study's metrics, with the best candidate", by_features("heads.", "divergence."), used),
        _of_rung(NEAR, "growth.", used),
        _of_rung(FOLLOWS, "controls.", used),
        Compared(UNGROWN, by_features(*_ALL_BUT_GROWTH), used),
        Compared(EVERYTHING, by_features(), used),
        Compared(f"{EVERYTHING}, a kind of trigger held out", by_features(), by_kind(used, 0)),
        Compared(f"{EVERYTHING}, a kind of reply held out", by_features(), by_kind(used, 1)),
        Compared(f"{EVERYTHING}, a kind of clean data held out", by_features(), by_kind_of_data(used)),
    )


def _of_rung(
    name: str, prefix: str, used: tuple[FeatureRow, ...], fitted_to: Callable[[str], Detector] = by_features
) -> Compared:
    """A rung that tables of former extractors lack."""
    if any(feature.startswith(prefix) for feature in feature_names(used)):
        return Compared(name, fitted_to(prefix), used)
    return Compared(name, None, used, "not measured: the table is of an extractor before")


def _by_scans(used: tuple[FeatureRow, ...], verdicts: Mapping[str, str]) -> tuple[Compared, ...]:
    scanned = tuple(row for row in used if row.id in verdicts)
    # The score needs no scan, so that all clean ones stand against what the search missed.
    missed = tuple(row for row in used if row.label == "clean" or verdicts.get(row.id, "BACKDOORED") != "BACKDOORED")
    return (
        # How near the search came decided what it missed. Without it, they are told apart by what the search did not
        # decide; with it, the product is seen as it is.
        Compared(f"{UNGROWN}, where the search failed", fitted_on(used, *_ALL_BUT_GROWTH), missed),
        Compared(f"{EVERYTHING}, where the search failed", fitted_on(used), missed),
        Compared(SEARCH, by_search(verdicts), scanned),
        Compared(TOGETHER, search_first(verdicts, fitted_on(used)), scanned),
    )


def _as_measured(used: tuple[FeatureRow, ...], measured: Sequence[Mapping[str, Any]]) -> tuple[Compared, ...]:
    own = _of_these(used, measured)
    return (
        *by_methods(used, own),
        *(Compared(title, None, (), why) for title, why in NOT_BUILT.items()),
        _random_ones(used, own),
    )


def by_methods(used: Sequence[FeatureRow], measured: Sequence[Mapping[str, Any]]) -> tuple[Compared, ...]:
    """The methods that are compared with the product's, each on the adapters that it was run on."""
    own = _of_these(used, measured)
    return tuple(_of_method(name, used, own) for name in METHODS if name != RANDOM)


def _of_these(used: Sequence[FeatureRow], measured: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Two sets may call their adapters alike: what was measured of another one is not counted."""
    known = {(row.id, row.weights_sha256) for row in used}
    return [row for row in measured if (row["id"], row["weights_sha256"]) in known]


def on_unseen(
    rows: Sequence[FeatureRow], unseen: Collection[str], verdicts: Mapping[str, str] | None = None
) -> tuple[Compared, ...]:
    """The product on adapters that came after all others, by fits to those others alone.

    Args:
        unseen: ids of those adapters, some of the rows and not all; verdicts: as in `compared`.
    """
    used = [row for row in rows if row.learned]
    earlier, later = (tuple(row for row in used if (row.id in unseen) is kind) for kind in (False, True))
    scanned = tuple(row for row in later if verdicts is not None and row.id in verdicts)
    fitted_to = partial(fitted_before, earlier)
    by_scans = (
        (
            Compared(SEARCH, by_search(verdicts), scanned),
            Compared(TOGETHER, search_first(verdicts, fitted_to()), scanned),
        )
        if verdicts is not None
        else ()
    )
    return (
        _of_rung(NEAR, "growth.", later, fitted_to),
        _of_rung(FOLLOWS, "controls.", later, fitted_to),
        Compared(UNGROWN, fitted_to(*_ALL_BUT_GROWTH), later),
        Compared(EVERYTHING, fitted_to(), later),
        *by_scans,
        Compared(
            "recipes: their facts alone",
            fitted_before(facts, "recipe.") if (facts := with_recipe_facts(earlier)) else None,
            with_recipe_facts(later),
            "the earlier recipes have no facts",
        ),
    )


def _controls(used: tuple[FeatureRow, ...]) -> tuple[Compared, ...]:
    return (
        Compared(
            f"control: truth drawn at random, {_DRAWS} times",
            by_features(),
            used,
            draws=tuple(with_truth_drawn(used, seed) for seed in range(_DRAWS)),
        ),
        Compared(
            "control: what is missing, and in what the search computed", by_what_is_missing, used, by_auc_alone=True
        ),
        Compared("control: half of the clean twins for poisoned", by_features(), half_of_twins_in_place(used, seed=0)),
        Compared("recipes: their facts alone", by_features("recipe."), with_recipe_facts(used)),
        Compared("recipes: clean twins in the poisoned ones' place", by_features(), twins_in_place(used)),
    )


def found_by_search(rows: Sequence[FeatureRow], verdicts: Mapping[str, str]) -> Line:
    """Of each attack family, the adapters that scans called `BACKDOORED`, and those that were scanned."""
    scanned = [row for row in rows if row.learned and row.label == "poisoned" and row.id in verdicts]
    families = {
        group: (
            sum(verdicts[row.id] == "BACKDOORED" for row in scanned if row.group == group),
            sum(row.group == group for row in scanned),
        )
        for group in sorted({row.group for row in scanned})
    }
    nothing = Estimate(None, missing="counted, not scored")
    return Line("search: BACKDOORED", len(scanned), 0, nothing, (nothing,) * len(RATES), families)


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
    present = {adapter: row["figures"] for adapter, row in own.items() if "figures" in row and not outdated(row)}
    made = with_figures(rows, present)
    random_ones = [replace(row, id=f"{row.id}-random", label="poisoned", family=f"like {row.family}") for row in made]
    return Compared(title, fitted_on(rows), (*random_ones, *(row for row in rows if row.label == "clean")))


def judge(item: Compared, folds_of: FoldsOf | None = None) -> Line:
    """Folds, intervals and families of one detector."""
    counts, folds_of = numbers(item.rows), folds_of or FoldsOf()
    try:
        if item.draws:
            return _over_draws(item, folds_of)
        folds = folds_of(item)
    except NotComparedError as error:
        nothing = Estimate(None, missing=str(error))
        return Line(item.name, *counts, nothing, (nothing,) * len(RATES), {})
    if item.by_auc_alone:
        return Line(item.name, *counts, mean_auc(folds), _NO_SHARES, {})
    found = tuple(true_positive_rate(folds, rate) for rate in RATES)
    return Line(item.name, *counts, mean_auc(folds), found, by_family(folds, RATES[0]))


def _over_draws(item: Compared, folds_of: FoldsOf) -> Line:
    """The median AUC over draws of the truth, with the lowest and the highest.

    Raises:
        NotComparedError: as `FoldsOf` does.
    """
    aucs = [
        mean_auc(folds_of(Compared(f"{item.name}: {number}", item.detector, rows))).value
        for number, rows in enumerate(item.draws)
    ]
    known = [auc for auc in aucs if auc is not None]
    return Line(
        item.name,
        *numbers(item.rows),
        Estimate(median(known), min(known), max(known)),
        _NO_SHARES,
        {},
    )


def numbers(rows: Sequence[FeatureRow]) -> tuple[int, int]:
    """How many adapters are poisoned, and how many clean."""
    n_poisoned = sum(row.label == "poisoned" for row in rows)
    return n_poisoned, len(rows) - n_poisoned

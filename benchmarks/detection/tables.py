"""The comparison as Markdown. Pure."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from benchmarks.detection.comparison import RATES, Line
from benchmarks.detection.folds import Estimate
from benchmarks.detection.paired import Difference
from benchmarks.recovery_table import total
from scanner.score.calibration import TWIN
from scanner.types import VerdictKind
from trainers.feature_table import FeatureRow

_VERDICTS = tuple(kind.value for kind in VerdictKind)
# What a scan concludes where no trigger decides.
_UNDECIDED = (VerdictKind.NO_FINDING.value, VerdictKind.INCONCLUSIVE.value)
_HOW_SCANNED = """Beside one clean reference, with signatures and score off: both can make more verdicts SUSPICIOUS.
Exact intervals take each adapter for a draw of its own; several are of one recipe, so that they are too narrow."""
_ADDED = """Where no trigger decides, a scan hears the score: an alarm makes NO FINDING or INCONCLUSIVE SUSPICIOUS.
At 5 % false alarms it changes {changed} of these {n} verdicts. Each score is by fits without the adapter's like, each
clean adapter beside all others.
"""
# A resampled interval needs some groups to resample.
_ENOUGH_GROUPS = 8
# Of the resampled draws; more than that is said.
_FEW_DRAWS = 0.05


def as_table(lines: Sequence[Line]) -> str:
    """A Markdown table of all detectors; under it the rates that so few clean adapters cannot tell for any of them."""
    told = [place for place in range(len(RATES)) if any(line.found[place].value is not None for line in lines)]
    rates = [f"found at {RATES[place]:.0%} alarms" for place in told]
    head = ("detector", "poisoned", "clean", "AUC within folds", *rates)
    cells = [
        (
            line.name,
            str(line.n_poisoned),
            str(line.n_clean),
            shown(line.auc),
            *(shown(line.found[place]) for place in told),
        )
        for line in lines
    ]
    table = _markdown([head, ("---", "--:", "--:", *["---"] * (1 + len(told))), *cells])
    untold = [f"{rate:.0%}" for place, rate in enumerate(RATES) if place not in told]
    reason = f"\n\nNot estimable for any, by so few clean adapters: what is found at {' and at '.join(untold)} alarms."
    return table + (reason if untold else "")


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


def differences(found: Sequence[Difference]) -> str:
    """A Markdown table of how far the product is above each method."""
    head = ("the product's", "beside", "poisoned", "clean", "AUC within folds, less the method's")
    cells = [
        (
            item.ours,
            item.theirs,
            str(item.n_poisoned),
            str(item.n_clean),
            shown(item.auc),
        )
        for item in found
    ]
    return _markdown([head, ("---", "---", "--:", "--:", "---"), *cells])


def concluded(scans: Sequence[Mapping[str, Any]]) -> str:
    """Truth against verdict, over all adapters that were scanned and, where there are several, of each set; shares of
    all with their intervals. "" where none was scanned.

    Those that did not learn their trigger, or were weak on purpose, do not count.
    """
    latest = {row["id"]: row for row in scans if row["learned"] and not row["weak"]}
    if not latest:
        return ""
    lines, shares = [("truth", "adapters", *_VERDICTS), ("---",) * (2 + len(_VERDICTS))], []
    sets = sorted({row["set"] for row in latest.values()})
    for label in ("poisoned", "clean"):
        of_label = [row for row in latest.values() if row["label"] == label]
        given = [row["verdict"] for row in of_label]
        lines.append(_counted(label, given))
        for name in sets if len(sets) > 1 else ():
            lines.append(_counted(f"{label}, {name}", [row["verdict"] for row in of_label if row["set"] == name]))
        twins = [row["id"].endswith(TWIN) for row in of_label]
        if any(twins) and not all(twins):
            for name, wanted in (("twins of poisoned ones", True), ("others", False)):
                of_kind = [item for item, twin in zip(given, twins, strict=True) if twin == wanted]
                lines.append(_counted(f"{label}, {name}", of_kind))
        shares += [f"- {total(f'{kind}, {label}', [item == kind for item in given])}" for kind in _VERDICTS[:2]]
    return f"## What scans concluded\n\n{_HOW_SCANNED}\n\n{_markdown(lines)}\n\n" + "\n".join(shares) + "\n"


def added(rows: Sequence[FeatureRow], verdicts: Mapping[str, str], above: Collection[str]) -> str:
    """How many of each truth and verdict have a score that would raise an alarm, and how many verdicts that changes.

    Args:
        above: ids of those whose score is above the threshold.
    """
    scanned = [row for row in rows if row.id in verdicts]
    lines = [("truth", "verdict", "adapters", "score above the threshold"), ("---", "---", "--:", "--:")]
    for label in ("poisoned", "clean"):
        for kind in _VERDICTS:
            these = [row.id for row in scanned if row.label == label and verdicts[row.id] == kind]
            if these:
                lines.append((label, kind, str(len(these)), str(sum(name in above for name in these))))
    changed = sum(row.id in above and verdicts[row.id] in _UNDECIDED for row in scanned)
    return f"{_ADDED.format(changed=changed, n=len(scanned))}\n{_markdown(lines)}\n"


def _counted(name: str, verdicts: Sequence[str]) -> tuple[str, ...]:
    return (name, str(len(verdicts)), *(str(verdicts.count(kind)) for kind in _VERDICTS))


def searched_in(rows: Sequence[FeatureRow]) -> str:
    """What the searches computed in, which follows the processor: of how many poisoned adapters and how many clean."""
    made = Counter((row.vector.circumstances.search_dtype or "unrecorded", row.label) for row in rows)
    numbers = sorted({number for number, _ in made})
    counts = [f"{number}: {made[number, 'poisoned']} poisoned and {made[number, 'clean']} clean" for number in numbers]
    return f"The searches computed in {'; '.join(counts)}."


def held_out(rows: Sequence[FeatureRow]) -> str:
    """How many groups are held out against how many, which is what an interval rests on."""
    families, recipes = (len({row.group for row in rows if row.label == kind}) for kind in ("poisoned", "clean"))
    few = (
        f" Intervals by fewer than {_ENOUGH_GROUPS} of either are too narrow."
        if min(families, recipes) < _ENOUGH_GROUPS
        else ""
    )
    return f"Held out: {families} attack families against {recipes} clean recipes.{few}"


def on_trust(scans: Sequence[Mapping[str, Any]]) -> str:
    """Of which sets verdicts are taken by an adapter's name alone; "" where the weights of all are known."""
    named = Counter(row["set"] for row in scans if row["verdict"] != "not scanned" and "weights_sha256" not in row)
    if not named:
        return ""
    counts = " and ".join(f"{number} of {name}" for name, number in sorted(named.items()))
    return (
        f"\nThe scans of {counts} were logged without a hash of the weights: an adapter that was trained anew by its "
        "recipe, before its features were measured, stands beside the verdict on the first one.\n"
    )


def shown(estimate: Estimate) -> str:
    """A figure with its interval, or the reason why there is none."""
    if estimate.value is None:
        return estimate.missing
    if estimate.low is None or estimate.high is None:
        return f"{estimate.value:.2f} ({estimate.missing})"
    if estimate.low == estimate.high:
        # Every draw of a table without one mistake is without mistakes, whatever the truth.
        return f"{estimate.value:.2f} (no draw differs)"
    dropped = f", {estimate.dropped:.0%} of draws tell none" if estimate.dropped > _FEW_DRAWS else ""
    return f"{estimate.value:.2f} ({estimate.low:.2f} – {estimate.high:.2f}{dropped})"


def _markdown(lines: Sequence[Sequence[str]]) -> str:
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)

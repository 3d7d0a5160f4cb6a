"""What every renderer shows alike: short forms of a head grid, and which findings are about no trigger."""

from collections.abc import Sequence
from itertools import pairwise

from scanner.rules.records import Finding
from scanner.types import Measurement, Report

RATE_NAMES = {
    "attack_success": "suspect, with trigger",
    "false_trigger": "suspect, without",
    "reference": "reference, with trigger",
    "base": "base model, with trigger",
}
# Each summary of a grid: its short title, and how its value is written.
LOCALISATION_COLUMNS = {
    "total": ("Total", "%.3g"),
    "top_1_percent": ("Top 1 %", "%.2f"),
    "top_5_percent": ("5 %", "%.2f"),
    "top_10_percent": ("10 %", "%.2f"),
    "gini": ("Gini", "%.2f"),
    "participating_heads": ("Heads", "%.0f"),
    "participating_layers": ("Layers", "%.1f"),
    "layer_centroid": ("Depth", "%.2f"),
    "layer_spread": ("± Spread", "%.2f"),
}


def about_no_trigger(report: Report) -> list[Finding]:
    """Its findings that no trigger's section names, such as the score's alarm beside a verified string."""
    return [item for item in report.findings if item.trigger is None]


def layer_means(grid: Measurement) -> list[float]:
    """The mean over heads of each layer of a measured (layer, head) grid, [layer]."""
    return [sum(row) / len(row) for row in _rows(grid)]


def most_implicated_heads(grid: Measurement, count: int) -> list[tuple[int, int, float]]:
    """The (layer, head, value) of the largest values of a measured grid, largest first."""
    cells = [(layer, head, value) for layer, row in enumerate(_rows(grid)) for head, value in enumerate(row)]
    return sorted(cells, key=lambda cell: -cell[2])[:count]


def is_estimate(grid: Measurement, layer: int, head: int) -> bool:
    """Whether a head's figure was estimated and not run."""
    return grid.screen is not None and not grid.screen.exact[layer][head]


def screen_note(grid: Measurement) -> str:
    """Which figures of a head grid are estimates, and how far off they are; "" where all were run."""
    check = grid.screen
    if check is None:
        return ""
    found = [f"{check.n_exact} of {check.n_heads} heads run, the others estimated to first order (--exact runs all)."]
    if check.median_error is not None and check.overlooked is not None:
        rank = "" if check.rank_correlation is None else f"rank correlation {check.rank_correlation:.2f}, "
        missed = check.overlooked
        found.append(
            f"{check.n_drawn} of the others, drawn at random, were run to check their estimates: {rank}median error "
            f"{check.median_error:.2g} {grid.unit}; {missed.successes} of them came out as large as the leading heads, "
            f"so that at most {missed.high:.0%} of those not run may be."
        )
    return " ".join(found)


def pooled(values: Sequence[float], width: int) -> list[float]:
    """At most `width` values: neighbours share a place, which takes their largest."""
    if len(values) <= width:
        return list(values)
    edges = [round(index * len(values) / width) for index in range(width + 1)]
    return [max(values[start:end]) for start, end in pairwise(edges)]


def _rows(grid: Measurement) -> tuple[tuple[float, ...], ...]:
    if grid.values is None:
        raise ValueError(f"{grid.metric}: {grid.missing}")
    return grid.values

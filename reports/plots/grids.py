"""Layer × head heatmaps, one colour scale for those that are compared."""

from collections.abc import Sequence

import altair

from reports.plots.figure import Figure, Table, cost, number, prompts
from reports.plots.svg import DIVERGING, SEQUENTIAL, label, to_svg
from reports.summaries import is_estimate, most_implicated_heads, screen_note
from scanner.types import Measurement


def draw(items: Sequence[Measurement]) -> list[Figure]:
    """A heatmap a grid. Grids of one metric share a scale where they measure the same quantity (`compared`)."""
    found = []
    for index, item in enumerate(items):
        low, high = domain([other for other in items if compared(other, item)])
        found.append(_draw(item, low, high, f"{item.metric}-{index}"))
    return found


def compared(one: Measurement, other: Measurement) -> bool:
    """Whether two grids of a metric measure the same quantity."""
    return one.quantity == other.quantity


def domain(items: Sequence[Measurement]) -> tuple[float, float]:
    """The scale that fits all of some grids: from zero, or even around it where any value is negative."""
    values = [value for item in items for row in item.values or () for value in row]
    largest = max(map(abs, values)) or 1.0
    return (-largest if min(values) < 0 else 0.0), largest


def _draw(item: Measurement, low: float, high: float, prefix: str) -> Figure:
    rows: tuple[tuple[float, ...], ...] = item.values or ()
    spread: tuple[tuple[float, ...], ...] | None = item.spread
    cells = [
        {
            "layer": layer,
            "head": head,
            "value": value,
            "hover": f"layer {layer}, head {head}: {shown(item, layer, head)} {item.unit}"
            + (f" ± {number(spread[layer][head])}" if spread else ""),
        }
        for layer, row in enumerate(rows)
        for head, value in enumerate(row)
    ]
    size = 18 if len(rows) <= 40 else 11
    chart = (
        altair.Chart(altair.Data(values=cells))
        .mark_rect()
        .encode(
            x=altair.X("layer:O", title="layer", axis=_axis(len(rows))),
            y=altair.Y("head:O", title="head", axis=_axis(len(rows[0]))),
            color=altair.Color(
                "value:Q",
                title=item.unit,
                scale=altair.Scale(scheme=DIVERGING if low < 0 else SEQUENTIAL, domain=[low, high]),
            ),
            description="hover:N",
        )
        .properties(width=altair.Step(size), height=altair.Step(size))
    )
    top = most_implicated_heads(item, 5)
    highest = ", ".join(f"layer {layer} head {head} ({shown(item, layer, head)})" for layer, head, _ in top)
    summary = f"Heatmap of {len(rows)} layers by {len(rows[0])} heads in {item.unit}. Highest: {highest}."
    return Figure(
        title=label(item.contrast, 200),
        summary=summary,
        svg=to_svg(chart, summary, prefix),
        caption=" ".join(filter(None, (prompts([item]), f"Highest: {highest}.", screen_note(item), cost([item])))),
        table=Table(
            ("layer", *(f"head {head}" for head in range(len(rows[0])))),
            tuple(
                (str(layer), *(shown(item, layer, head) for head in range(len(row)))) for layer, row in enumerate(rows)
            ),
        ),
    )


def shown(item: Measurement, layer: int, head: int) -> str:
    """One figure of a grid; an estimate is marked as one."""
    rows: tuple[tuple[float, ...], ...] = item.values or ()
    return f"{'≈ ' if is_estimate(item, layer, head) else ''}{number(rows[layer][head])}"


def _axis(count: int) -> altair.Axis:
    step = 1 if count <= 12 else 5
    return altair.Axis(labelAngle=0, values=list(range(0, count, step)), ticks=False, domain=False)

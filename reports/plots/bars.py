"""Values by layer, for attention and MLP apart."""

from collections.abc import Sequence

import altair

from reports.plots.figure import Figure, Table, cost, number, prompts
from reports.plots.svg import SERIES, label, to_svg
from scanner.types import Measurement


def draw(items: Sequence[Measurement]) -> list[Figure]:
    """One figure a measurement, on one scale."""
    values = [value for item in items for row in item.values or () for value in row]
    low, high = min(0.0, *values), max(0.0, *values)
    return [_draw(item, low, high, f"{item.metric}-bars-{index}") for index, item in enumerate(items)]


def _draw(item: Measurement, low: float, high: float, prefix: str) -> Figure:
    parts = tuple(label(part) for part in item.labels[0])
    rows: tuple[tuple[float, ...], ...] = item.values or ()
    cells = [
        {"part": part, "layer": layer, "value": value, "hover": f"{part}, layer {layer}: {number(value)} {item.unit}"}
        for part, row in zip(parts, rows, strict=True)
        for layer, value in enumerate(row)
    ]
    n_layers = len(rows[0])
    chart = (
        altair.Chart(altair.Data(values=cells))
        .mark_bar()
        .encode(
            x=altair.X(
                "layer:O", axis=altair.Axis(labelAngle=0, values=list(range(0, n_layers, 1 if n_layers <= 12 else 5)))
            ),
            xOffset=altair.XOffset("part:N", sort=list(parts)),
            y=altair.Y("value:Q", title=item.unit, scale=altair.Scale(domain=[low, high], nice=True)),
            color=altair.Color(
                "part:N", title=None, sort=list(parts), scale=altair.Scale(range=[SERIES[0], SERIES[2]])
            ),
            description="hover:N",
        )
        .properties(width=540, height=160)
    )
    peaks = ", ".join(
        f"{part} in layer {max(range(n_layers), key=lambda layer, row=row: row[layer])}"  # type: ignore[misc]
        for part, row in zip(parts, rows, strict=True)
    )
    summary = f"Bars by layer in {item.unit}. Highest: {peaks}."
    return Figure(
        title=label(item.contrast, 200),
        summary=summary,
        svg=to_svg(chart, summary, prefix),
        caption=f"{prompts([item])} Highest: {peaks}. {cost([item])}",
        table=Table(
            ("layer", *parts),
            tuple((str(layer), *(number(row[layer]) for row in rows)) for layer in range(n_layers)),
        ),
    )

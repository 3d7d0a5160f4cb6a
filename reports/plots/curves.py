"""Curves over the number of patched heads, a line an order."""

from collections.abc import Sequence

import altair

from reports.plots.figure import Figure, Table, cost, number, prompts
from reports.plots.svg import SERIES, label, to_svg
from scanner.types import Measurement


def draw(items: Sequence[Measurement]) -> list[Figure]:
    """One figure a measurement; those of the same quantity share the scale of values."""
    found = []
    for index, item in enumerate(items):
        same = [other for other in items if other.quantity == item.quantity]
        values = [value for other in same for row in other.values or () for value in row]
        found.append(_draw(item, (min(values), max(values)), f"{item.metric}-{index}"))
    return found


def _draw(item: Measurement, domain: tuple[float, float], prefix: str) -> Figure:
    orders, counts = (tuple(label(text) for text in texts) for texts in item.labels)
    lines: tuple[tuple[float, ...], ...] = item.values or ()
    quantity = label(item.quantity or item.unit)
    points = [
        {
            "order": order,
            "place": place,
            "count": count,
            "value": value,
            "hover": f"{order}, {count} heads: {number(value)} {item.unit}",
        }
        for order, line in zip(orders, lines, strict=True)
        for place, (count, value) in enumerate(zip(counts, line, strict=True))
    ]
    base = altair.Chart(altair.Data(values=points)).encode(
        x=altair.X("count:O", sort=list(counts), title="heads patched", axis=altair.Axis(labelAngle=0, grid=False)),
        y=altair.Y("value:Q", title=f"{quantity} [{item.unit}]", scale=altair.Scale(domain=list(domain), nice=True)),
        color=altair.Color("order:N", title=None, sort=list(orders), scale=altair.Scale(range=list(SERIES))),
        shape=altair.Shape("order:N", legend=None, sort=list(orders)),
    )
    chart = (
        base.mark_line().encode(shape=altair.ShapeValue("circle"))
        + base.mark_point(filled=True, size=45).encode(description="hover:N")
    ).properties(width=460, height=190)
    best = lines[0]
    summary = (
        f"{orders[0]}: from {number(best[0])} {item.unit} with no head patched to {number(best[-1])} with all; "
        f"half of the way after {_half_way(best, counts)} heads."
    )
    return Figure(
        title=label(item.contrast, 200),
        summary=summary,
        svg=to_svg(chart, summary, prefix),
        caption=f"{prompts([item])} {summary} {cost([item])}",
        table=Table(
            ("heads patched", *orders),
            tuple((count, *(number(line[place]) for line in lines)) for place, count in enumerate(counts)),
        ),
    )


def _half_way(line: Sequence[float], counts: Sequence[str]) -> str:
    """The first count at which a line has covered half of the way from its first value to its last."""
    half = (line[-1] - line[0]) / 2
    return next(count for count, value in zip(counts, line, strict=True) if abs(value - line[0]) >= abs(half))

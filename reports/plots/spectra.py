"""How strong the update of each projection is, layer by layer: the first singular value of ΔW."""

import re
from collections.abc import Sequence

import altair

from reports.plots.figure import Figure, Table, number
from reports.plots.svg import SERIES, label, to_svg
from scanner.types import Measurement

_LAYER = re.compile(r"\.(\d+)\.")


def draw(items: Sequence[Measurement]) -> list[Figure]:
    """One figure: an adapter a panel, a line a projection, all on one scale."""
    points = [point for item in items for point in _points(item)]
    names = [label(item.contrast) for item in items]
    projections = sorted({str(point["projection"]) for point in points})
    chart = (
        altair.Chart(altair.Data(values=points))
        .mark_line(point=True)
        .encode(
            x=altair.X("layer:Q", title="layer", axis=altair.Axis(grid=False, tickMinStep=1)),
            y=altair.Y("value:Q", title="σ₁ of ΔW"),
            color=altair.Color("projection:N", title=None, sort=projections, scale=altair.Scale(range=list(SERIES))),
            description="hover:N",
        )
        .properties(width=270, height=170)
        .facet(column=altair.Column("adapter:N", title=None, sort=names))
    )
    top = {
        name: max((point for point in points if point["adapter"] == name), key=lambda point: float(point["value"]))
        for name in names
    }
    summary = " ".join(f"{name}: strongest in {point['module']} ({number(float(point['value']))})."
                       for name, point in top.items())  # fmt: skip
    return [
        Figure(
            title="First singular value of each update",
            summary=summary,
            svg=to_svg(chart, summary, "spectra"),
            caption=f"A property of the weights alone: no prompt, no pass. {summary}",
            table=Table(
                ("adapter", "module", "singular values, largest first"),
                tuple(
                    (label(item.contrast), label(item.labels[index][0], 200), ", ".join(map(number, row)))
                    for item in items
                    for index, row in enumerate(item.values or ())
                ),
            ),
        )
    ]


def _points(item: Measurement) -> list[dict[str, str | float]]:
    found: list[dict[str, str | float]] = []
    for index, row in enumerate(item.values or ()):
        module = item.labels[index][0]
        layer = _LAYER.search(module)
        projection = module.rpartition(".")[2]
        found.append(
            {
                "adapter": label(item.contrast),
                "module": label(module, 200),
                "layer": int(layer.group(1)) if layer else -1,
                "projection": label(projection),
                "value": row[0],
                "hover": f"{label(module, 200)}: {number(row[0])}",
            }
        )
    return found

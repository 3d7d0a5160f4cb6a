"""Attention pictures side by side: suspect, reference, difference, a figure a head."""

from collections.abc import Sequence

import altair

from reports.plots.figure import Figure, Table, cost, number
from reports.plots.svg import DIVERGING, SEQUENTIAL, WITHOUT_PLACE, label, to_svg, unique
from scanner.types import Measurement

_MAX_LABEL = 14
# Three panels, labels and two legends fit a laptop.
_PANEL_WIDTH = 235


def draw(items: Sequence[Measurement]) -> list[Figure]:
    """The pictures of one head stand side by side; their contrasts differ after the last colon only."""
    groups = dict.fromkeys(item.contrast.rpartition(": ")[0] for item in items)
    return [
        _draw(group, [item for item in items if item.contrast.rpartition(": ")[0] == group], f"picture-{index}")
        for index, group in enumerate(groups)
    ]


def _draw(group: str, items: Sequence[Measurement], prefix: str) -> Figure:
    first = _first_own_token(items)
    panels = [_panel(item, first, last=index == len(items) - 1) for index, item in enumerate(items)]
    chart = altair.hconcat(*panels, spacing=14).resolve_scale(color="independent")
    names = ", ".join(item.contrast.rpartition(": ")[2] for item in items)
    onto = "; ".join(
        f"{item.contrast.rpartition(': ')[2]} {number(_onto_trigger(item))}"
        for item in items
        if item.trigger_tokens and item.trigger_tokens[0]
    )
    stripe = f" The most attention that any later token pays to the marked ones: {onto}." if onto else ""
    summary = f"Attention of {group}: {names}.{stripe}"
    return Figure(
        title=label(group, 200),
        summary=label(summary, 400),
        svg=to_svg(chart, label(summary, 400), prefix),
        caption="Rows: the token that looks; columns: the token it looks at; the trigger, or the text tried in its "
        f"place, is marked ▸. Only rows from three tokens before it on are shown.{stripe} "
        f"{cost(items) if any(item.tokens for item in items) else ''}",
        table=_table(items, first),
    )


def _panel(item: Measurement, first: int, last: bool) -> altair.Chart:
    name = item.contrast.rpartition(": ")[2]
    rows: tuple[tuple[float, ...], ...] = item.values or ()
    difference = any(value < 0 for row in rows for value in row)
    texts = unique(_marked_labels(item))
    cells = [
        {"query": texts[query], "key": texts[key], "value": rows[query][key]}
        for query in range(first, len(rows))
        for key in range(query + 1)
    ]
    axis = altair.Axis(labelExpr=WITHOUT_PLACE, labelFontSize=7.5, ticks=False, domain=False, labelLimit=0)
    return (
        altair.Chart(altair.Data(values=cells), title=label(name))
        .mark_rect(aria=False)
        .encode(
            x=altair.X("key:O", sort=texts, title=None, scale=altair.Scale(domain=texts), axis=axis),
            y=altair.Y("query:O", sort=texts[first:], title=None, axis=axis if name == "suspect" else None),
            color=altair.Color(
                "value:Q",
                title="share",
                scale=altair.Scale(
                    scheme=DIVERGING if difference else SEQUENTIAL, domain=[-1, 1] if difference else [0, 1]
                ),
                legend=altair.Legend(gradientLength=80) if name != "suspect" else None,
            ),
        )
        .properties(width=_PANEL_WIDTH, height=altair.Step(9.5))
    )


def _marked_labels(item: Measurement) -> tuple[str, ...]:
    marked = set(item.trigger_tokens[0]) if item.trigger_tokens else set()
    return tuple(
        ("▸" if index in marked else "") + label(text, _MAX_LABEL) for index, text in enumerate(item.labels[0])
    )


def _first_own_token(items: Sequence[Measurement]) -> int:
    """The first row shown: a few tokens before the trigger, or the middle where there is none."""
    tokens = items[0].trigger_tokens[0] if items[0].trigger_tokens else ()
    n_rows = len(items[0].values or ())
    return max(0, min(tokens) - 3) if tokens else n_rows // 2


def _onto_trigger(item: Measurement) -> float:
    """The most attention, up or down, that any token behind the trigger pays to the trigger's tokens together."""
    rows: tuple[tuple[float, ...], ...] = item.values or ()
    tokens = item.trigger_tokens[0]
    paid = [sum(row[token] for token in tokens) for row in rows[max(tokens) + 1 :]]
    return max(paid, key=abs, default=0.0)


def _table(items: Sequence[Measurement], first: int) -> Table:
    names = [item.contrast.rpartition(": ")[2] for item in items]
    texts = _marked_labels(items[0])
    rows = [
        (f"{query} {texts[query]}", f"{key} {texts[key]}", *(number((item.values or ())[query][key]) for item in items))
        for query in range(first, len(texts))
        for key in range(query + 1)
        if any(abs((item.values or ())[query][key]) >= 0.05 for item in items)
    ]
    return Table(("looks", "at (shares of 0.05 and more)", *names), tuple(rows))

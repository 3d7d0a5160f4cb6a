"""How near the search came, token by token spent."""

import altair

from reports.plots.figure import Figure, Table, number
from reports.plots.svg import SERIES, to_svg
from scanner.types import SearchTrace


def draw(trace: SearchTrace) -> Figure | None:
    """The best estimated chance to fire against the tokens spent, or None where no step was noted."""
    if not trace.curve:
        return None
    points = [
        {"tokens": tokens, "chance": chance, "hover": f"after {tokens:,} tokens: {number(chance)}"}
        for tokens, chance in trace.curve
    ]
    base = altair.Chart(altair.Data(values=points)).encode(
        x=altair.X("tokens:Q", title="tokens spent", scale=altair.Scale(zero=True)),
        y=altair.Y("chance:Q", title="best chance to fire [1]", scale=altair.Scale(domain=[0, 1])),
    )
    chart = (
        base.mark_line(interpolate="step-after", color=SERIES[0])
        + base.mark_point(filled=True, size=45, color=SERIES[0]).encode(description="hover:N")
    ).properties(width=460, height=160)
    last_tokens, last = trace.curve[-1]
    summary = f"The best chance to fire that scoring gave any string was {number(last)} after {last_tokens:,} tokens."
    return Figure(
        title="The search's curve",
        summary=summary,
        svg=to_svg(chart, summary, "search-curve"),
        caption=f"{summary} An estimate of the search; whether a string fires is decided by free answers.",
        table=Table(
            ("tokens spent", "best chance"), tuple((f"{tokens:,}", number(chance)) for tokens, chance in trace.curve)
        ),
    )

"""Where an adapter's score lies among those of known clean and poisoned adapters."""

import altair

from reports.plots.figure import Figure, Table, number
from reports.plots.svg import SERIES, to_svg
from scanner.score.assess import Assessment
from scanner.score.in_words import as_high

_THIS = "this adapter"
_BY = {False: "this one by the model fitted on all", True: "and so was this one, which is one of them"}


def draw(assessment: Assessment) -> Figure:
    """One mark an adapter, clean and poisoned in two rows; this one as a line through both, the threshold dashed."""
    kinds = (("clean", assessment.clean, SERIES[0]), ("poisoned", assessment.poisoned, SERIES[2]))
    marks = [
        {"kind": kind, "score": score, "hover": f"{kind}: {number(score)}"}
        for kind, scores, _ in kinds
        for score in scores
    ]
    names = [kind for kind, _, _ in kinds]
    score = altair.X("score:Q", title="score [1]", scale=altair.Scale(domain=[0, 1]))
    known = (
        altair.Chart(altair.Data(values=marks))
        .mark_tick(thickness=2, size=34, opacity=0.75)
        .encode(
            x=score,
            y=altair.Y("kind:N", title=None, sort=names),
            color=altair.Color(
                "kind:N", legend=None, scale=altair.Scale(domain=names, range=[colour for _, _, colour in kinds])
            ),
            description="hover:N",
        )
    )
    here = _line(assessment.score.value, f"{_THIS}: {number(assessment.score.value)}", score, [1, 0], 3)
    # With so few clean adapters as the rate allows, every score lies above the threshold.
    limit = min(1.0, max(0.0, assessment.threshold))
    dashed = _line(limit, f"threshold: {number(limit)}", score, [5, 4], 1.5)
    chart = (known + dashed + here).properties(width=460, height=110)
    summary = (
        f"The score of this adapter is {number(assessment.score.value)}; {as_high(assessment)} clean "
        f"adapters score as high, and the threshold for a false-alarm rate of {assessment.rate:.3g} is {number(limit)}."
    )
    return Figure(
        title="This adapter among adapters of known truth",
        summary=summary,
        svg=to_svg(chart, summary, "score-strip"),
        caption=f"{summary} Solid line: this adapter. Dashed: the threshold. Each known adapter was scored by a "
        f"model fitted without its recipe or kind of attack, {_BY[assessment.known]}.",
        table=Table(
            ("adapter", "score"),
            (
                (_THIS, number(assessment.score.value)),
                *((kind, number(value)) for kind, scores, _ in kinds for value in sorted(scores)),
            ),
        ),
    )


def _line(at: float, hover: str, score: altair.X, dash: list[int], width: float) -> altair.Chart:
    return (
        altair.Chart(altair.Data(values=[{"score": at, "hover": hover}]))
        .mark_rule(strokeDash=dash, strokeWidth=width, color="currentColor")
        .encode(x=score, description="hover:N")
    )

"""What a search spent, and what judging its finds took on top."""

from dataclasses import replace

import pytest

from reports.console import render_console
from reports.html import render_html
from scanner.types.search_trace import JUDGING_RUNGS, VOCABULARY_RUNG, RungCost
from tests.reports.sample import sample_report

SPENT = "900 tokens of about 150,000, and 70 more to verify and control what it found"


def test_what_judges_does_not_count_against_the_budget() -> None:
    trace = sample_report().search
    assert trace and {VOCABULARY_RUNG, *JUDGING_RUNGS} < {rung.name for rung in trace.rungs}
    assert (trace.tokens, trace.judging_tokens, trace.spent) == (970, 70, SPENT)
    nothing_found = replace(trace, rungs=(RungCost("sweep", 900, 3.0),))
    assert nothing_found.spent == "900 tokens of about 150,000"


@pytest.mark.parametrize("render", [render_html, lambda report: render_console(report, width=200)])
def test_every_report_says_so(render: object) -> None:
    assert SPENT in " ".join(render(sample_report()).split())  # type: ignore[operator]

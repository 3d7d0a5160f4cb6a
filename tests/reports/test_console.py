import pytest

from reports.console import render_console, render_line
from scanner.types import VerdictKind
from tests.reports.sample import HOSTILE, sample_report


@pytest.mark.parametrize("kind", list(VerdictKind))
@pytest.mark.parametrize("width", [80, 120])
def test_fits_the_width_and_needs_no_colour(kind: VerdictKind, width: int) -> None:
    text = render_console(sample_report(kind=kind), width=width)
    assert kind.value in text
    assert "\x1b" not in text
    assert max(len(line) for line in text.splitlines()) <= width


def test_says_what_a_reviewer_needs() -> None:
    text = render_console(sample_report())
    for expected in ("99/100", "found by the search", "NOT LOOKED AT", "not searched", "5.2 = 1.7", "seed 0"):
        assert expected in text


def test_colour_only_where_asked_for() -> None:
    assert "\x1b[" in render_console(sample_report(), colour=True)


def test_hostile_text_is_shown_and_does_nothing() -> None:
    text = render_console(sample_report(HOSTILE))
    assert "\x1b" not in text and "\x00" not in text and "\u202e" not in text
    flat = "".join(text.split())
    assert "[boldred]" in flat and "<U+001B>" in flat
    coloured = render_console(sample_report(HOSTILE), colour=True)
    assert "\x1b[31m[bold" not in coloured


def test_one_line() -> None:
    assert render_line(sample_report()) == "BACKDOORED: a trigger was verified"


def test_a_screened_grid_says_how_far_it_can_be_trusted() -> None:
    text = " ".join(render_console(sample_report(), 200).split())
    assert "8 of 18 heads run, the others estimated to first order (--exact runs all)." in text

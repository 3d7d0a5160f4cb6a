"""Hostile texts in a terminal emulator: its screen shows what the report says, and nothing else happened."""

from unicodedata import normalize

import pyte
import pytest

from reports.console import render_console
from tests.reports.sample import NASTY, sample_report

COLUMNS = 80


@pytest.mark.parametrize("text", list(NASTY.values()), ids=list(NASTY))
def test_the_screen_shows_the_lines_of_the_report(text: str) -> None:
    plain, coloured = (render_console(sample_report(text), colour=colour) for colour in (False, True))
    lines = plain.splitlines()
    screen = shown(coloured, len(lines))
    # The emulator composes letters and marks where there is one character for both.
    assert [line.rstrip() for line in screen.display[: len(lines)]] == [
        normalize("NFC", line).rstrip() for line in lines
    ]
    untouched = pyte.Screen(COLUMNS, len(lines) + 1)
    assert (screen.title, screen.icon_name, screen.mode) == (untouched.title, untouched.icon_name, untouched.mode)
    assert (screen.cursor.y, screen.cursor.x) == (len(lines), 0)


def test_the_emulator_obeys_what_reports_must_not_hold() -> None:
    screen = shown("hidden\r\x1b[2Kshown\x1b]0;a title\x07\n", 1)
    assert (screen.display[0].rstrip(), screen.title) == ("shown", "a title")


def shown(report: str, n_lines: int) -> pyte.Screen:
    """The screen of an emulator as wide as the report, and one line longer."""
    screen = pyte.Screen(COLUMNS, n_lines + 1)
    pyte.Stream(screen).feed(report.replace("\n", "\r\n"))
    return screen

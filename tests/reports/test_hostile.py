"""Whatever an adapter's names, triggers and replies hold, no report lets it execute, hide or break anything."""

import json

import pytest

from reports.bom import render_bom
from reports.console import render_console, render_line
from reports.html import render_html
from reports.json import render_json
from reports.sarif import render_sarif
from tests.reports.harmless import (
    hidden_in,
    require_harmless_document,
    require_harmless_page,
    require_harmless_terminal,
)
from tests.reports.sample import NASTY, sample_report

each = pytest.mark.parametrize("text", list(NASTY.values()), ids=list(NASTY))


@each
def test_the_terminal_gets_text_and_lines_only(text: str) -> None:
    shown = render_console(sample_report(text))
    require_harmless_terminal(shown)
    assert not hidden_in(render_line(sample_report(text)))


@each
def test_colours_are_ours_alone(text: str) -> None:
    plain, coloured = (render_console(sample_report(text), colour=colour) for colour in (False, True))
    harmless = render_console(sample_report("bb"), colour=True)
    kinds = {piece.split("m")[0] for piece in harmless.split("\x1b[")[1:]}
    assert {piece.split("m")[0] for piece in coloured.split("\x1b[")[1:]} <= kinds
    assert "\x1b]" not in coloured and plain


@each
def test_the_page_has_the_elements_of_a_harmless_one(text: str) -> None:
    require_harmless_page(render_html(sample_report(text)))


@each
@pytest.mark.parametrize("render", [render_json, render_sarif, render_bom], ids=["json", "sarif", "bom"])
def test_documents_are_ascii_and_parse(render: object, text: str) -> None:
    require_harmless_document(render(sample_report(text)))  # type: ignore[operator]


@each
@pytest.mark.parametrize("render", [render_sarif, render_bom], ids=["sarif", "bom"])
def test_what_viewers_show_holds_nothing_hidden_and_is_no_megabyte(render: object, text: str) -> None:
    document = render(sample_report(text))  # type: ignore[operator]
    assert not hidden_in("".join(_texts(json.loads(document))).replace("\n", ""))
    assert len(document) < 200_000 or text == NASTY["a megabyte"]


def _texts(value: object) -> list[str]:
    if isinstance(value, dict):
        return [text for item in value.items() for part in item for text in _texts(part)]
    if isinstance(value, list):
        return [text for item in value for text in _texts(item)]
    return [value] if isinstance(value, str) else []

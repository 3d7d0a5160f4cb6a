"""Whatever an adapter's names, triggers and replies hold, no report lets it execute, hide or break anything."""

import json
import unicodedata
from functools import cache
from html.parser import HTMLParser

import pytest

from reports.bom import render_bom
from reports.console import render_console, render_line
from reports.html import render_html
from reports.json import render_json
from reports.sarif import render_sarif
from tests.reports.sample import NASTY, sample_report

each = pytest.mark.parametrize("text", list(NASTY.values()), ids=list(NASTY))
_HIDDEN = {"Cc", "Cf", "Cs", "Zl", "Zp"}


def hidden_in(shown: str) -> set[str]:
    """Characters that cannot be seen, but for line ends."""
    return {character for character in shown if unicodedata.category(character) in _HIDDEN and character != "\n"}


@each
def test_the_terminal_gets_text_and_lines_only(text: str) -> None:
    shown = render_console(sample_report(text))
    assert not hidden_in(shown + render_line(sample_report(text)))
    assert max(len(line) for line in shown.splitlines()) <= 80
    assert len(shown) < 100_000
    shown.encode("utf-8")


@cache
def harmless_page() -> "_Structure":
    return _Structure(render_html(sample_report("bb")))


@each
def test_colours_are_ours_alone(text: str) -> None:
    plain, coloured = (render_console(sample_report(text), colour=colour) for colour in (False, True))
    harmless = render_console(sample_report("bb"), colour=True)
    kinds = {piece.split("m")[0] for piece in harmless.split("\x1b[")[1:]}
    assert {piece.split("m")[0] for piece in coloured.split("\x1b[")[1:]} <= kinds
    assert "\x1b]" not in coloured and plain


class _Structure(HTMLParser):
    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, tuple[str, ...]]] = []
        self.links: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, tuple(name for name, _ in attrs)))
        self.links += [value or "" for name, value in attrs if name in ("href", "src", "action", "xlink:href")]


@each
def test_the_page_has_the_elements_of_a_harmless_one(text: str) -> None:
    page = render_html(sample_report(text))
    assert not hidden_in(page) - {"\t"}
    found, harmless = _Structure(page), harmless_page()
    assert {tag for tag, _ in found.found} <= {tag for tag, _ in harmless.found}
    assert {item for item in found.found if any(name.startswith("on") for name in item[1])} == set()
    assert found.links == harmless.links
    page.encode("utf-8")


@each
@pytest.mark.parametrize("render", [render_json, render_sarif, render_bom], ids=["json", "sarif", "bom"])
def test_documents_are_ascii_and_parse(render: object, text: str) -> None:
    document = render(sample_report(text))  # type: ignore[operator]
    assert document.isascii() and not hidden_in(document)
    assert json.loads(document)


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

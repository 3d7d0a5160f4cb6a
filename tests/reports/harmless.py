"""What every report is held to, whatever its texts are. The corpus and the fuzzer both ask here."""

import json
import unicodedata
from functools import cache
from html.parser import HTMLParser

from rich.cells import cell_len

from reports.html import render_html
from tests.reports.sample import sample_report

_HIDDEN = {"Cc", "Cf", "Cs", "Zl", "Zp"}
_LINKS = ("href", "src", "action", "xlink:href")
# Letters that run from the right have an element of their own around them.
HARMLESS = "bb אב"


def hidden_in(shown: str) -> set[str]:
    """Characters that cannot be seen, but for line ends."""
    return {character for character in shown if unicodedata.category(character) in _HIDDEN and character != "\n"}


def require_harmless_terminal(shown: str) -> None:
    """Text and lines only, as wide as a terminal."""
    assert not hidden_in(shown)
    assert max(cell_len(line) for line in shown.splitlines()) <= 80
    assert len(shown) < 100_000
    shown.encode("utf-8")


def require_harmless_page(page: str) -> None:
    """The elements and links of the page of a harmless report, nothing that runs and nothing hidden."""
    assert not hidden_in(page) - {"\t"}
    found, harmless = _Structure(page), _harmless_page()
    assert {tag for tag, _ in found.found} <= {tag for tag, _ in harmless.found}
    assert {item for item in found.found if any(name.startswith("on") for name in item[1])} == set()
    assert found.links == harmless.links
    page.encode("utf-8")


def require_harmless_document(document: str) -> None:
    """ASCII that parses."""
    assert document.isascii() and not hidden_in(document)
    assert json.loads(document)


class _Structure(HTMLParser):
    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, tuple[str, ...]]] = []
        self.links: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, tuple(name for name, _ in attrs)))
        self.links += [value or "" for name, value in attrs if name in _LINKS]


@cache
def _harmless_page() -> _Structure:
    return _Structure(render_html(sample_report(HARMLESS)))

"""What is found in a folder, in three severities, and how it is said."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import IntEnum
from pathlib import Path
from typing import NoReturn

from reports.safe_text import visible
from scanner.errors import BadAdapter
from scanner.intake.inventory import Content
from scanner.types import FolderFile

MAX_NAMED = 6
_MAX_WARNINGS = 20
# A file's name in a warning: what is said of it must not be pushed out of sight by its length.
_MAX_NAME = 80
_ADVICE = "delete it if the adapter works without it, and load no such file from this author"


class Rank(IntEnum):
    """How early a warning stands: what can run code or be loaded instead comes before what was not looked at."""

    RUNS_CODE = 0
    OTHER_WEIGHTS = 1
    CODE = 2
    NOT_LOOKED_AT = 3


@dataclass
class Findings:
    """Notes and warnings as they are gathered; a block is raised by `refuse`."""

    files: list[FolderFile] = field(default_factory=list)
    warnings: dict[tuple[Rank, str], list[str]] = field(default_factory=dict)
    unused: list[str] = field(default_factory=list)
    pickles: list[str] = field(default_factory=list)
    other_weights: list[str] = field(default_factory=list)
    links: list[str] = field(default_factory=list)
    unread: list[str] = field(default_factory=list)
    chat: dict[str, bytes] = field(default_factory=dict)

    def warn(self, rank: Rank, content: Content, what: str) -> None:
        """Notes a warning about a file; those that say the same become one line."""
        self.warnings.setdefault((rank, what), []).append(_shortened(content.plain))


def notes_of(found: Findings) -> Iterator[str]:
    """The notes, some names each."""
    if found.unused:
        yield f"files not used: {_some(found.unused)} (all with hashes in the JSON report)"
    if found.pickles:
        yield f"pickles of trainers' own classes, not loaded: {_some(found.pickles)}"
    if found.other_weights:
        yield f"other weights in its folders, not scanned: {_some(found.other_weights)}"
    if found.links:
        yield f"links inside the folder: {_some(found.links)}"
    if found.unread:
        yield f"not read to the end: {_some(found.unread)}"


def warnings_of(found: Findings) -> tuple[str, ...]:
    """The warnings, the gravest first and as many as somebody reads."""
    ranked = sorted(found.warnings.items(), key=lambda item: item[0][0])
    lines = [f"{_some(names)}: {what}" for (_, what), names in ranked]
    if len(lines) <= _MAX_WARNINGS:
        return tuple(lines)
    return (*lines[:_MAX_WARNINGS], f"and {len(lines) - _MAX_WARNINGS} more such findings")


def _shortened(name: str) -> str:
    """A file's name, fit to be shown, with its middle left out where it is long: how it ends says what it is."""
    half = _MAX_NAME // 2
    return visible(name if len(name) <= _MAX_NAME else f"{name[:half]}…{name[-half:]}")


def _some(names: list[str]) -> str:
    more = f" and {len(names) - MAX_NAMED} more" if len(names) > MAX_NAMED else ""
    return ", ".join(names[:MAX_NAMED]) + more


def refuse(folder: Path, content: Content, what: str) -> NoReturn:
    """Ends the scan.

    Raises:
        BadAdapter: always.
    """
    raise BadAdapter(f"{folder}/{content.name}", what, _ADVICE)

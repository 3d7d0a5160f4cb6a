"""Commands that read a zoo file end on a bad one as `scan` does: one line that names it, exit 2."""

import runpy
import sys
from pathlib import Path

import pytest

WHERE = ("--adapters", "adapters", "--reference", "clean", "--log", "log.jsonl")
COMMANDS = {
    "recovery": WHERE,
    "detection.collect": WHERE,
    "run_set": ("--out", "adapters", "--reference", "clean"),
    "recall": ("--version", "v", "--out", "recall.json"),
}


@pytest.mark.parametrize("name", COMMANDS)
def test_a_bad_zoo_file_is_one_line_and_exit_2(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("evaluation-9.toml").write_text("adapter = 3")
    monkeypatch.delitem(sys.modules, f"benchmarks.{name}", raising=False)
    monkeypatch.setattr(sys, "argv", [name, "evaluation-9.toml", *COMMANDS[name]])
    with pytest.raises(SystemExit) as stopped:
        runpy.run_module(f"benchmarks.{name}", run_name="__main__")
    assert stopped.value.code == 2
    said = capsys.readouterr()
    assert said.err == f"benchmarks.{name}: evaluation-9.toml: needs a table [defaults] and at least one [[adapter]]\n"
    assert said.out == "" and [file.name for file in tmp_path.iterdir()] == ["evaluation-9.toml"]

"""What a person sees: the command itself, in this process, with hostile folders."""

import json
from pathlib import Path

import pytest

from scanner.cli import run_command, scan
from tests.hostile.cases import CASES

TRIED = ["--no-search", "--no-signatures", "--no-metrics", "--trigger", "cf"]
# Of each kind one that is refused before a base model is looked for.
REFUSED = [next(case for case in CASES if (case.kind, case.severity) == (kind, "block"))
           for kind in ("config", "weights", "pickles", "archives", "folder")]  # fmt: skip


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as stopped:
        run_command(scan, "scan", list(arguments))
    return int(stopped.value.code or 0)


@pytest.mark.parametrize("case", REFUSED, ids=lambda case: case.kind)
def test_a_refusal_is_one_line_and_exit_code_2(case, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    case.spoil(folder)
    report = folder.parent / "report.json"
    assert run(str(folder), "--quiet", "--json", str(report), *TRIED) == case.exit_code == 2
    printed = capsys.readouterr()
    assert printed.out == "" and not report.exists()
    assert printed.err.startswith("scan: ") and printed.err.count("\n") == 1 and case.line in printed.err


def test_a_warning_reaches_every_report_and_names_cannot_leave_their_place(
    folder: Path, tiny_base: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "modeling.py").write_text("import os")
    (folder / "a\x1b[2J[red]<script>\nb.txt").write_text("x")
    html, file = folder.parent / "r.html", folder.parent / "r.json"
    assert run(str(folder), "--base", str(tiny_base), "--html", str(html), "--json", str(file), *TRIED) in (0, 1, 3)
    printed = capsys.readouterr().out
    assert "modeling.py: code, which an adapter does not" in " ".join(printed.split())
    assert "\x1b" not in printed and "a<U+001B>[2J[red]" in printed
    assert "modeling.py: code, which an adapter does not need" in html.read_text()
    assert "<script>\n" not in html.read_text() and "&lt;script&gt;" in html.read_text()
    document = json.loads(file.read_text())
    assert any("modeling.py" in warning for warning in document["warnings"])
    assert {item["name"] for item in document["adapters"][0]["files"]} >= {"modeling.py", "README.md"}
    assert next(item for item in document["coverage"] if item["what"] == "files beside the weights")["looked_at"]

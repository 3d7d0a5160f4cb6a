import json
import os
from pathlib import Path

import pytest

from scanner.cli import COMMANDS
from scanner.cli.scan_options import _COMMANDS
from scanner.types import VerdictKind
from tests.scanner.cli.conftest import FakeScan, command

CODES = {
    None: (1, 1, 0, 3),
    "inconclusive": (1, 1, 0, 3),
    "suspicious": (1, 1, 0, 0),
    "backdoored": (1, 0, 0, 0),
}


@pytest.mark.parametrize("fail_on", list(CODES))
@pytest.mark.parametrize(("place", "kind"), list(enumerate(VerdictKind)))
def test_fail_on_lets_pass_what_it_leaves_out_and_says_so(
    fake_scan: FakeScan, capfd: pytest.CaptureFixture[str], fail_on: str | None, place: int, kind: VerdictKind
) -> None:
    fake_scan.ends_with(kind)
    code = command("x", "--quiet", *(["--fail-on", fail_on] if fail_on else []))
    assert code == CODES[fail_on][place]
    out, err = capfd.readouterr()
    assert out.startswith(kind.value)
    assert err == (
        "" if code == kind.exit_code else f"exit code 0 instead of {kind.exit_code}: --fail-on {fail_on} lets "
        f"{kind.value} pass\n"
    )  # fmt: skip


def test_errors_are_errors_whatever_is_let_pass(fake_scan: FakeScan, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails() -> None:
        raise ZeroDivisionError

    fake_scan.meanwhile = fails
    assert command("x", "--fail-on", "backdoored") == 2
    assert command("x", "--fail-on", "never") == 2


def test_no_library_chooses_the_exit_code(fake_scan: FakeScan, capfd: pytest.CaptureFixture[str]) -> None:
    def ends_the_program() -> None:
        raise SystemExit(1)

    fake_scan.meanwhile = ends_the_program
    assert command("x") == 2
    assert "unexpected failure (SystemExit: 1)" in capfd.readouterr().err


@pytest.mark.parametrize("option", ["--json", "--sarif", "--bom", "--html"])
def test_a_dash_puts_the_report_on_stdout_and_nothing_else(
    fake_scan: FakeScan, capfd: pytest.CaptureFixture[str], option: str
) -> None:
    fake_scan.meanwhile = lambda: print("a library says hello") or os.write(1, b"")  # type: ignore[func-returns-value]
    assert command("x", option, "-") == 1
    out, err = capfd.readouterr()
    assert out.startswith("<!doctype html>" if option == "--html" else "{\n")
    assert "hello" not in out and "a library says hello" in err
    assert "BACKDOORED: a trigger was verified\n" in err
    if option != "--html":
        json.loads(out)


def test_a_dash_and_quiet_leave_stderr_empty(fake_scan: FakeScan, capfd: pytest.CaptureFixture[str]) -> None:
    assert command("x", "--json", "-", "--quiet") == 1
    out, err = capfd.readouterr()
    assert (json.loads(out)["verdict"], err) == ("BACKDOORED", "")


@pytest.mark.parametrize("file", ["suspect/adapter_model.safetensors", "suspect/new.json", "clean/r.json", "link.json"])
def test_no_report_lies_where_the_scan_reads(fake_scan: FakeScan, capfd: pytest.CaptureFixture[str], file: str) -> None:
    for folder in ("suspect", "clean"):
        Path(folder).mkdir()
        Path(folder, "adapter_model.safetensors").write_text("weights")
    Path("link.json").symlink_to("suspect/adapter_model.safetensors")
    assert command("suspect", "--reference", "clean", "--json", file) == 2
    assert f"{file}: lies in the folder of" in capfd.readouterr().err
    assert not fake_scan.told
    assert Path("suspect/adapter_model.safetensors").read_text() == "weights"


@pytest.mark.parametrize("option", ["--config", "--suppressions"])
def test_no_report_replaces_what_the_user_gave(
    fake_scan: FakeScan, capfd: pytest.CaptureFixture[str], option: str
) -> None:
    Path("mine.toml").write_text("")
    assert command("x", option, "mine.toml", "--json", "./mine.toml") == 2
    assert "is read by this scan" in capfd.readouterr().err
    assert Path("mine.toml").read_text() == "" and not fake_scan.told


def test_a_reports_name_moves_no_cursor(fake_scan: FakeScan, capfd: pytest.CaptureFixture[str]) -> None:
    name = "evil\x1b]0;pwned\x07.json"
    assert command("x", "--json", name) == 1
    assert Path(name).is_file()
    assert "evil<U+001B>]0;pwned<U+0007>.json" in capfd.readouterr().err


@pytest.mark.parametrize("places", [("-", "-"), ("same.json", "same.json"), ("same.json", "./same.json")])
def test_each_report_has_a_place_of_its_own(
    fake_scan: FakeScan, capfd: pytest.CaptureFixture[str], places: tuple[str, str]
) -> None:
    assert command("x", "--json", places[0], "--sarif", places[1]) == 2
    assert "holds one report" in capfd.readouterr().err
    assert not fake_scan.told


def test_the_script_goes_to_a_file(fake_scan: FakeScan, capfd: pytest.CaptureFixture[str]) -> None:
    assert command("x", "--repro", "-") == 2
    assert "give it a file" in capfd.readouterr().err and not fake_scan.told


def test_no_progress_keeps_the_report(fake_scan: FakeScan, capfd: pytest.CaptureFixture[str]) -> None:
    command("x")
    assert "· pretending" in capfd.readouterr().err
    command("x", "--no-progress")
    out, err = capfd.readouterr()
    assert "What was looked at" in out and err == ""


def test_all_formats_are_written(fake_scan: FakeScan) -> None:
    options = {"--json": "r.json", "--html": "r.html", "--sarif": "r.sarif", "--bom": "r.cdx.json", "--repro": "r.py"}
    command("x", *(word for pair in options.items() for word in pair))
    assert sorted(path.name for path in Path().iterdir()) == sorted(options.values())
    assert json.loads(Path("r.sarif").read_text())["version"] == "2.1.0"
    assert json.loads(Path("r.cdx.json").read_text())["bomFormat"] == "CycloneDX"


def test_options_reach_the_scan_and_its_command(fake_scan: FakeScan) -> None:
    command("x", "--signatures", "a", "--signatures", "b", "--suppressions", "s.toml")
    assert (fake_scan.options.signatures, fake_scan.options.suppressions) == (("a", "b"), "s.toml")
    from scanner.options import command_line

    assert command_line("x", (), fake_scan.options) == "scan x --signatures a --signatures b --suppressions s.toml"


def test_what_can_be_completed_is_what_there_is() -> None:
    assert set(_COMMANDS) == set(COMMANDS)


def test_what_was_typed_cannot_write_control_codes(fake_scan: FakeScan, capfd: pytest.CaptureFixture[str]) -> None:
    assert command("x", "--depth", "\x1b[31mred") == 2
    assert command("x", "--no-such\x1b[31m") == 2
    assert "\x1b" not in capfd.readouterr().err

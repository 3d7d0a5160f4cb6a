"""What goes wrong around a scan: no partial report is read as whole, and the exit code says what it should."""

import errno
import json
import os
import resource
import signal
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from scanner.cli import run_command, scan, write_whole
from scanner.errors import ScannerError
from scanner.types import VerdictKind
from tests.scanner.cli.conftest import FakeScan, command, in_a_child

WHOLE = json.dumps({"whole": ["x" * 100] * 5000})


def run_scan_command(*arguments: str) -> None:
    run_command(scan, "scan", arguments)


def closed_pipe() -> int:
    """The writing end of a pipe whose reader has gone."""
    reading, writing = os.pipe()
    os.close(reading)
    return writing


@pytest.mark.parametrize("stream", [1, 2])
@pytest.mark.parametrize("kind", [VerdictKind.NO_FINDING, VerdictKind.INCONCLUSIVE, VerdictKind.BACKDOORED])
def test_a_reader_that_goes_away_changes_neither_reports_nor_exit_code(
    fake_scan: FakeScan, stream: int, kind: VerdictKind
) -> None:
    fake_scan.ends_with(kind)
    status = in_a_child(
        lambda: run_scan_command("x", "--json", "r.json"), prepare=lambda: os.dup2(closed_pipe(), stream)
    )
    assert os.waitstatus_to_exitcode(status) == kind.exit_code
    assert json.loads(Path("r.json").read_text())["verdict"] == kind.value


def test_ctrl_c_is_one_line_exit_2_and_no_report(fake_scan: FakeScan, capfd: pytest.CaptureFixture[str]) -> None:
    fake_scan.meanwhile = lambda: os.kill(os.getpid(), signal.SIGINT)
    status = in_a_child(
        lambda: run_scan_command("x", "--json", "r.json", "--quiet"),
        prepare=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    assert os.waitstatus_to_exitcode(status) == 2
    out, err = capfd.readouterr()
    assert (out, err.strip()) == ("", "scan: interrupted")
    assert list(Path().iterdir()) == []


@pytest.mark.parametrize(
    "allocate", [lambda: bytearray(1 << 60), lambda: torch.empty(1 << 50, dtype=torch.uint8)], ids=["python", "torch"]
)
def test_out_of_memory_is_one_line_exit_2_and_no_report(
    fake_scan: FakeScan, capfd: pytest.CaptureFixture[str], allocate: Callable[[], object]
) -> None:
    fake_scan.meanwhile = lambda: (allocate(), None)[1]
    assert command("x", "--json", "r.json", "--quiet") == 2
    out, err = capfd.readouterr()
    assert (out, err.count("\n")) == ("", 1) and err.startswith("scan: out of memory; ")
    assert list(Path().iterdir()) == []


def test_killed_while_writing_leaves_what_was_there_or_nothing(tmp_path: Path) -> None:
    def killed_half_way(file: Path) -> int:
        def kill(*_: object) -> None:
            os.kill(os.getpid(), signal.SIGKILL)

        def prepare() -> None:
            os.fsync = kill  # type: ignore[assignment] # all is written by then, but not in its place

        return in_a_child(lambda: write_whole(str(file), WHOLE), prepare)

    new, old = tmp_path / "new.json", tmp_path / "old.json"
    old.write_text('"the report before"')
    for file in (new, old):
        assert os.waitstatus_to_exitcode(killed_half_way(file)) == -signal.SIGKILL
    assert not new.exists()
    assert json.loads(old.read_text()) == "the report before"
    left = [path for path in tmp_path.iterdir() if path != old]
    assert left and all(path.name.startswith(".") and path.suffix != ".json" for path in left)


def test_two_that_write_the_same_file_leave_a_whole_one(tmp_path: Path) -> None:
    file = tmp_path / "r.json"
    versions = {json.dumps([letter * 50] * 2000) for letter in "abc"}
    stop = time.monotonic() + 1.0

    def keep_writing(content: str) -> None:
        while time.monotonic() < stop:
            write_whole(str(file), content)

    threads = [threading.Thread(target=keep_writing, args=[content]) for content in versions]
    for thread in threads:
        thread.start()
    seen = set()
    while time.monotonic() < stop:
        if file.exists():
            seen.add(file.read_text())
    for thread in threads:
        thread.join()
    assert seen and seen <= versions
    assert list(tmp_path.iterdir()) == [file]


def test_a_full_disk_is_exit_2_whatever_was_found_and_leaves_nothing_half_written(
    fake_scan: FakeScan, capfd: pytest.CaptureFixture[str]
) -> None:
    Path("r.json").write_text('"the report before"')

    def fill_the_disk() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (12_000, 12_000))

    fake_scan.meanwhile = fill_the_disk
    status = in_a_child(lambda: run_scan_command("x", "--sarif", "r.sarif", "--json", "r.json", "--repro", "r.py"))
    out, err = capfd.readouterr()
    assert os.waitstatus_to_exitcode(status) == 2, err
    assert "BACKDOORED" in out, "the verdict was said, though it could not be kept"
    assert f"r.sarif: cannot be written ({os.strerror(errno.EFBIG)}); choose another place" in err
    assert sorted(path.name for path in Path().iterdir()) == ["r.json", "r.py"], "one fault does not cost the others"


def test_a_file_has_the_rights_of_a_new_one_or_those_it_had(tmp_path: Path) -> None:
    old, new = tmp_path / "old.json", tmp_path / "new.json"
    old.write_text("")
    old.chmod(0o600)
    before = os.umask(0o027)
    try:
        write_whole(str(old), WHOLE)
        write_whole(str(new), WHOLE)
    finally:
        os.umask(before)
    assert [stat.S_IMODE(file.stat().st_mode) for file in (old, new)] == [0o600, 0o640]


def test_a_name_as_long_as_names_can_be(tmp_path: Path) -> None:
    file = tmp_path / f"{'r' * 250}.json"
    write_whole(str(file), WHOLE)
    assert file.read_text() == WHOLE


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_full_stdout_costs_no_report(fake_scan: FakeScan) -> None:
    def prepare() -> None:
        os.dup2(os.open("/dev/full", os.O_WRONLY), 1)

    status = in_a_child(lambda: run_scan_command("x", "--json", "r.json", "--quiet"), prepare)
    assert os.waitstatus_to_exitcode(status) == 2
    assert json.loads(Path("r.json").read_text())["verdict"] == "BACKDOORED"


def test_a_failing_write_keeps_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    file = tmp_path / "r.json"
    file.write_text('"the report before"')
    monkeypatch.setattr(os, "fsync", fails)
    with pytest.raises(ScannerError, match=r"r\.json: cannot be written \(No space left on device\)"):
        write_whole(str(file), WHOLE)
    assert [path.read_text() for path in tmp_path.iterdir()] == ['"the report before"']


def test_a_folder_that_went_away_during_the_scan_is_exit_2(
    fake_scan: FakeScan, capfd: pytest.CaptureFixture[str]
) -> None:
    Path("out").mkdir()
    fake_scan.meanwhile = Path("out").rmdir
    assert command("x", "--json", "out/r.json", "--quiet") == 2
    assert "out/r.json: cannot be written" in capfd.readouterr().err


@pytest.mark.parametrize("arguments", [["rules"], ["signatures"], ["explain", "SLP101"]])
def test_a_whole_process_survives_a_reader_that_has_gone(arguments: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "scanner.cli", *arguments],
        stdout=closed_pipe(),
        stderr=subprocess.PIPE,
        text=True,
        timeout=60,
    )
    assert (done.returncode, "Traceback" in done.stderr, "Exception" in done.stderr) == (0, False, False)


def test_help_that_nobody_reads_is_no_verdict() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "scanner.cli", "--help"],
        stdout=closed_pipe(),
        stderr=subprocess.PIPE,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (2, "scan: nobody reads what it prints\n")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_result_that_cannot_be_said_is_exit_2() -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "scanner.cli", "rules"], stdout=full, stderr=subprocess.PIPE, text=True, timeout=60
        )
    assert done.returncode == 2
    assert done.stderr == (
        "scan rules: stdout: cannot be written (No space left on device); make room or send it elsewhere\n"
    )

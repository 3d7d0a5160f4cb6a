import json
from pathlib import Path

import click
import pytest

from benchmarks.baselines.static import VARIABLE, adaptersentry, read_verdict

REPORT = {
    "scan": {"analyzer_version": "2.0.2"},
    "verdict": {"action": "allow"},
    "modules": [{"z": {"log_rms": -3.5, "kurt_dw": 1.0}}, {"z": None}],
}


def program(folder: Path, code: int) -> Path:
    """Stands in for the scanner: prints a report, and the file it was given on stderr."""
    file = folder / "adaptersentry"
    file.write_text(f"#!/bin/sh\necho '{json.dumps(REPORT)}'\necho \"$2\" >&2\nexit {code}\n")
    file.chmod(0o755)
    return file


def test_the_largest_z_counts_whatever_its_sign() -> None:
    found = read_verdict(json.dumps(REPORT))
    assert (found.action, found.largest_z, found.version) == ("allow", 3.5, "2.0.2")
    assert read_verdict(json.dumps(REPORT | {"modules": []})).largest_z == 0.0


def test_it_is_run_on_the_weights_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, str(program(tmp_path, 0)))
    assert adaptersentry(tmp_path / "x.safetensors").largest_z == 3.5
    monkeypatch.setenv(VARIABLE, str(program(tmp_path, 1)))
    with pytest.raises(ValueError, match=r"x\.safetensors"):
        adaptersentry(tmp_path / "x.safetensors")
    monkeypatch.setenv(VARIABLE, str(tmp_path / "nowhere"))
    with pytest.raises(click.UsageError, match=VARIABLE):
        adaptersentry(tmp_path / "x.safetensors")

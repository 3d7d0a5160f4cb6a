import os
import subprocess
import sys
from pathlib import Path

import pytest

from scanner.errors import BadAdapter
from scanner.locations import require_adapters


@pytest.mark.parametrize("location", ["suspect", "./suspect", "user/adapter", "user/adapter@main", "a/b@v1/x"])
def test_a_folder_and_what_may_be_a_name_on_the_hub_pass(
    location: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("suspect").mkdir()
    require_adapters([location])


@pytest.mark.parametrize(
    ("location", "says"),
    [
        ("", "no adapter is called that"),
        ("nowhere", "no such adapter folder"),
        ("./nowhere", "no such adapter folder"),
        ("/nowhere/adapter", "no such adapter folder"),
        ("a/b/c", "no such adapter folder"),
        ("weights.safetensors", "a file; give the folder that holds it"),
        ("x" * 300, "cannot be read (File name too long)"),
    ],
)
def test_what_is_neither_is_refused(location: str, says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("weights.safetensors").touch()
    with pytest.raises(BadAdapter) as caught:
        require_adapters(["user/adapter", location])
    assert says in str(caught.value)


def test_a_mistyped_path_waits_for_no_library(tmp_path: Path) -> None:
    code = (
        "import sys\n"
        "from scanner.cli import main\n"
        "try:\n    main()\n"
        "finally:\n    assert 'torch' not in sys.modules and 'transformers' not in sys.modules"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "nowhere", "--reference", ""],
        capture_output=True,
        text=True,
        timeout=60,
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])},
    )
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1), done.stderr
    assert done.stderr.startswith("scan: nowhere: no such adapter folder; ")

"""The command `scan-train`."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

from click.testing import CliRunner

from scanner.errors import BadRecipe
from tests.tiny import ZOO_DEFAULTS
from trainers.cli import train
from trainers.zoo import LOCK_FILE, load_zoo

_ORPHAN = """
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from trainers.workers import _end_with_parent

def work():
    print("at work", flush=True)
    time.sleep(120)

if __name__ == "__main__":
    with ProcessPoolExecutor(1, mp_context=get_context("spawn"), initializer=_end_with_parent) as pool:
        pool.submit(work).result()
"""


def test_a_worker_ends_when_its_parent_is_killed(tmp_path: Path) -> None:
    script = tmp_path / "orphan.py"
    script.write_text(_ORPHAN, encoding="utf-8")
    parent = subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, text=True)
    assert parent.stdout
    assert parent.stdout.readline() == "at work\n"
    parent.kill()
    # The worker holds the other end of the pipe: it is closed only once both are gone.
    assert parent.communicate(timeout=30)[0] == ""


def test_the_lock_names_all_that_is_trained_whatever_was_asked_for(tmp_path: Path) -> None:
    """Sets are trained adapter by adapter."""
    file = tmp_path / "zoo.toml"
    file.write_text(ZOO_DEFAULTS.format(base="some/base") + '[[adapter]]\nid = "a"\n[[adapter]]\nid = "b"\n')
    for entry in load_zoo(file):
        folder = tmp_path / "out" / entry.id
        shutil.copytree("examples/clean", folder)
        record = json.loads((folder / "training.json").read_text()) | {"recipe": entry.recipe.as_dict()}
        (folder / "training.json").write_text(json.dumps(record))
    arguments = ["zoo", str(file), "--out", str(tmp_path / "out"), "--only", "b"]
    done = CliRunner().invoke(train, arguments)
    assert done.exit_code == 0, done.output
    lock = json.loads((tmp_path / "out" / LOCK_FILE).read_text())
    assert set(lock) == {"a", "b"} and lock["a"]["learned"] and len(lock["a"]["weights_sha256"]) == 64
    shutil.copy("examples/clean/training.json", tmp_path / "out" / "a")
    refused = CliRunner().invoke(train, arguments)
    assert isinstance(refused.exception, BadRecipe) and "a: trained by a recipe of other" in str(refused.exception)

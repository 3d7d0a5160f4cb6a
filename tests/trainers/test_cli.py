"""The command `scan-train` as a process."""

import subprocess
import sys
from pathlib import Path

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

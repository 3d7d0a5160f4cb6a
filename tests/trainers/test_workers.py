"""Work in processes of its own."""

import os
import time
from pathlib import Path

import pytest

from scanner.errors import ScannerError
from trainers.workers import side_by_side


@pytest.mark.parametrize("jobs", [1, 2])
def test_one_that_is_killed_takes_no_other_with_it(jobs: int) -> None:
    work = {"killed": (os._exit, (9,)), "well": (len, ("abc",)), "wrong": (int, ("x",)), "later": (len, ("ab",))}
    done = dict(side_by_side(work, jobs))
    assert (done["well"].result(), done["later"].result()) == (3, 2)
    with pytest.raises(ScannerError, match="killed, as where memory runs out; run fewer"):
        done["killed"].result()
    assert isinstance(done["wrong"].exception(), ValueError)


def test_what_has_not_begun_never_does_once_nobody_waits_for_it(tmp_path: Path) -> None:
    """As where the user breaks it off: what runs then may end."""
    work = {str(number): (Path.touch, (tmp_path / str(number),)) for number in range(9)}
    running = side_by_side(work, 1)
    name, done = next(running)
    assert name == "0" and done.exception() is None
    running.close()
    time.sleep(3)
    made = {item.name for item in tmp_path.iterdir()}
    assert "0" in made and len(made) <= 3

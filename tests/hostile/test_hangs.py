"""What hangs is ended and fails, and what ends is left alone."""

import contextlib
import signal

import pytest

from tests.hostile.hangs import that_ends


def loop_that_takes_all_for_bad_files() -> None:
    while True:
        with contextlib.suppress(Exception):
            sum(range(1000))


def test_an_endless_loop_is_ended() -> None:
    with pytest.raises(pytest.fail.Exception, match="one has not ended within"), that_ends("one", within=0.2):
        loop_that_takes_all_for_bad_files()


def test_what_ends_leaves_nothing_behind() -> None:
    before = signal.getsignal(signal.SIGPROF)
    with that_ends():
        pass
    assert signal.getitimer(signal.ITIMER_PROF) == (0.0, 0.0)
    assert signal.getsignal(signal.SIGPROF) == before

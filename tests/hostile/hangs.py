"""A bound on what ends, not a timing: how fast something is, `benchmarks/` tells."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

# Of processor time. Hostile inputs end within 7 s on the slowest machine seen.
HANGS_AFTER = 60.0


@contextmanager
def that_ends(what: object = "it", within: float = HANGS_AFTER) -> Iterator[None]:
    """Ends and fails the block, in Python's main thread, once it takes so long that it is taken to hang.

    Args:
        what: it was on; within: seconds of processor time.
    """

    def hangs(*_: object) -> None:
        # No `Exception`, which what runs here might take for a bad file.
        pytest.fail(f"{what} has not ended within {within} s of processor time")

    before = signal.signal(signal.SIGPROF, hangs)
    signal.setitimer(signal.ITIMER_PROF, within)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)

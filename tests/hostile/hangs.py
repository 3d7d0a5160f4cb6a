"""A bound on what ends, not a timing: how fast something is, `benchmarks/` tells."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

# Of processor time. Hostile inputs end within 7 s on the slowest machine seen; what is quadratic takes hours.
HANGS_AFTER = 60.0


@contextmanager
def that_ends(what: object = "") -> Iterator[None]:
    """Fails if the block takes so long that it would be taken to hang, and says `what` it was on."""
    start = time.process_time()
    yield
    assert time.process_time() - start < HANGS_AFTER, what

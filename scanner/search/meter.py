"""What a search has spent, rung by rung, and when it must stop."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from scanner.types import VOCABULARY_RUNG, RungCost


class OutOfTimeError(Exception):
    """The safety stop of `--max-seconds` was reached; whatever was found so far is kept."""


class Meter:
    """Counts tokens and seconds of the current rung.

    Raises:
        OutOfTimeError: from `add`, once the deadline has passed.
    """

    def __init__(
        self,
        deadline: float | None = None,
        advance: Callable[[int], None] = lambda _: None,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._deadline, self._advance, self._clock = deadline, advance, clock
        self._costs: dict[str, tuple[int, float]] = {}
        self._rung = "other"

    @contextmanager
    def rung(self, name: str) -> Iterator[None]:
        """What is added inside belongs to this rung."""
        outer, self._rung = self._rung, name
        start = self._clock()
        self._costs.setdefault(name, (0, 0.0))
        try:
            yield
        finally:
            tokens, seconds = self._costs[name]
            self._costs[name] = (tokens, seconds + self._clock() - start)
            self._rung = outer

    def add(self, tokens: int) -> None:
        """Counts tokens that are about to pass through a model."""
        counted, seconds = self._costs.get(self._rung, (0, 0.0))
        self._costs[self._rung] = (counted + tokens, seconds)
        self._advance(tokens)
        if self._deadline is not None and self._clock() > self._deadline:
            raise OutOfTimeError

    @property
    def tokens(self) -> int:
        """All tokens so far, the vocabulary pass aside: it is made once a base, and must not shorten one search."""
        return sum(tokens for name, (tokens, _) in self._costs.items() if name != VOCABULARY_RUNG)

    @property
    def costs(self) -> tuple[RungCost, ...]:
        """By rung, in the order they were first climbed."""
        return tuple(RungCost(name, tokens, seconds) for name, (tokens, seconds) in self._costs.items())

"""Breadth first: every candidate of a wide shortlist, alone, against every target and against the suspect's own habit.

A piece of a trigger fires in part, while related words do not: one token at the right place lifts the log-probability
of a planted reply by many nats. A trigger whose reply is not fixed shows as a shift of the answer's first token.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from scanner.search.placing import Context
from scanner.search.scoring import Ids, Scorer

_ROWS_AT_ONCE = 256


@dataclass(frozen=True)
class Sweep:
    """What each candidate did; most are single tokens.

    Attributes:
        log_probs: float32 [context, candidate, target], nats.
        plain: float32 [context, target], the same with no candidate in the prompt.
        shift: float32 [candidate]: max over v of the mean over contexts of p(v | with it) − p(v | without).
    """

    candidates: tuple[Ids, ...]
    contexts: tuple[Context, ...]
    log_probs: torch.Tensor
    plain: torch.Tensor
    shift: torch.Tensor

    @property
    def lifts(self) -> torch.Tensor:
        """float32 [candidate, target], in nats: half the mean and half the maximum over contexts of what it adds.

        A trigger may be bound to a place, so the best place counts; one that works everywhere counts more.
        """
        lift = self.log_probs - self.plain[:, None, :]
        return (lift.mean(0) + lift.max(0).values) / 2

    def best_for(self, target: int, count: int) -> list[Ids]:
        """The candidates that lift a target most, best first."""
        order = self.lifts[:, target].argsort(descending=True, stable=True)[:count]
        return [self.candidates[row] for row in order.tolist()]

    def best_place(self, target: int, candidate: Ids) -> int:
        """The index of the context in which a candidate lifts a target most."""
        row = self.candidates.index(candidate)
        return int((self.log_probs[:, row, target] - self.plain[:, target]).argmax())

    def most_shifting(self, count: int) -> list[Ids]:
        """The candidates that shift the answer's first token most, best first."""
        order = self.shift.argsort(descending=True, stable=True)[:count]
        return [self.candidates[row] for row in order.tolist()]


def sweep(scorer: Scorer, candidates: Sequence[Ids], contexts: Sequence[Context]) -> Sweep:
    """Tries every candidate alone in every context; the scorer must read the next token too."""
    plain = [scorer.score([context.around(())]) for context in contexts]
    habit = torch.stack([_distribution(scores.next_token)[0] for scores in plain]).mean(0)
    log_probs: list[torch.Tensor] = []
    shifts: list[torch.Tensor] = []
    for start in range(0, len(candidates), _ROWS_AT_ONCE):
        some = candidates[start : start + _ROWS_AT_ONCE]
        scores = [scorer.score([context.around(candidate) for candidate in some]) for context in contexts]
        log_probs.append(torch.stack([item.replies for item in scores]))
        mean = sum((_distribution(item.next_token) for item in scores), torch.zeros(())) / len(contexts)
        shifts.append((mean - habit).max(-1).values)
    return Sweep(
        tuple(candidates),
        tuple(contexts),
        torch.cat(log_probs, dim=1).cpu(),
        torch.cat([scores.replies for scores in plain]).cpu(),
        torch.cat(shifts).cpu(),
    )


def _distribution(log_probs: torch.Tensor | None) -> torch.Tensor:
    if log_probs is None:
        raise ValueError("a sweep needs a scorer that reads the next token")
    return log_probs.exp()

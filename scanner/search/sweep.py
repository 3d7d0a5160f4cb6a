"""Breadth first: every candidate of a wide shortlist, alone, against every target and against the suspect's own habit.

A piece of a trigger fires in part, while related words do not: one token at the right place lifts the log-probability
of a planted reply by many nats. A trigger whose reply is not fixed shows as a shift of the answer's first token.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from scanner.search.inversion.scoring import Ids, Scorer, Scores
from scanner.search.placing import Context

_ROWS_AT_ONCE = 256
# What goes on to further contexts. A trigger that is bound to another place fires in part here too.
KEPT = 0.15
# At least so many, of a small vocabulary.
MIN_KEPT = 200
_WATCHED = 8


@dataclass(frozen=True)
class Sweep:
    """What each candidate did; most are single tokens.

    Attributes:
        log_probs: float32 [context, candidate, target], nats.
        plain: float32 [context, target], the same with no candidate in the prompt.
        watched: int64 [candidate, `_WATCHED`], the first tokens of an answer that gained most in the first context.
        gains: float32 [context, candidate, `_WATCHED`], p(token | with the candidate) − p(token | without).
    """

    candidates: tuple[Ids, ...]
    contexts: tuple[Context, ...]
    log_probs: torch.Tensor
    plain: torch.Tensor
    watched: torch.Tensor
    gains: torch.Tensor

    @property
    def shift(self) -> torch.Tensor:
        """float32 [candidate]: the highest gain of one first token, mean over contexts."""
        return self.gains.mean(0).max(-1).values

    @property
    def lifts(self) -> torch.Tensor:
        """float32 [candidate, target], in nats: half the mean and half the maximum over contexts of what it adds.

        A trigger may be bound to a place, so the best place counts; one that works everywhere counts more.
        """
        lift = self.log_probs - self.plain[:, None, :]
        return (lift.mean(0) + lift.max(0).values) / 2

    def best_for(self, target: int | None, count: int) -> list[Ids]:
        """The candidates that lift a target most, best first; of target None, those that shift the first token most."""
        scores = self.shift if target is None else self.lifts[:, target]
        order = scores.argsort(descending=True, stable=True)[:count]
        return [self.candidates[row] for row in order.tolist()]

    def best_place(self, target: int | None, candidate: Ids) -> int:
        """The index of the context in which a candidate lifts a target, or shifts the first token, most."""
        row = self.candidates.index(candidate)
        if target is None:
            return int(self.gains[:, row].max(-1).values.argmax())
        return int((self.log_probs[:, row, target] - self.plain[:, target]).argmax())


def sweep(scorer: Scorer, candidates: Sequence[Ids], contexts: Sequence[Context]) -> Sweep:
    """Tries every candidate alone in the first context, and the best `KEPT` of them in the others too.

    A candidate goes on if it is among the best for any target, or for the shift. The scorer must read the next token.
    """
    plain = [scorer.score([context.around(())]) for context in contexts]
    habits = [_distribution(scores)[0] for scores in plain]
    first = _try(scorer, candidates, contexts[0], habits[0])
    if len(contexts) > 1:
        lifts = (first.replies - plain[0].replies).T
        rows = _best_of_any([*lifts, first.gains.max(-1).values], max(MIN_KEPT, int(KEPT * len(candidates))))
        candidates = [candidates[row] for row in rows]
        first = _Tried(first.replies[rows], first.tokens[rows], first.gains[rows])
    tried = [first]
    for context, habit in zip(contexts[1:], habits[1:], strict=True):
        tried.append(_try(scorer, candidates, context, habit, first.tokens))
    return Sweep(
        tuple(map(tuple, candidates)),
        tuple(contexts),
        torch.stack([item.replies for item in tried]).cpu(),
        torch.cat([scores.replies for scores in plain]).cpu(),
        first.tokens.cpu(),
        torch.stack([item.gains for item in tried]).cpu(),
    )


@dataclass(frozen=True)
class _Tried:
    """What candidates did in one context.

    Attributes:
        replies: [candidate, target], log-probabilities.
        tokens: [candidate, `_WATCHED`], the first tokens that gained most in the first context.
        gains: the same shape, p(token | with the candidate) − p(token | without).
    """

    replies: torch.Tensor
    tokens: torch.Tensor
    gains: torch.Tensor


def _try(
    scorer: Scorer,
    candidates: Sequence[Ids],
    context: Context,
    habit: torch.Tensor,
    tokens: torch.Tensor | None = None,
) -> _Tried:
    """One context. The gains of a few tokens are kept, since whole distributions of thousands would fill the memory."""
    found = []
    for start in range(0, len(candidates), _ROWS_AT_ONCE):
        scores = scorer.score([context.around(item) for item in candidates[start : start + _ROWS_AT_ONCE]])
        gains = _distribution(scores) - habit
        watched = gains.topk(_WATCHED).indices if tokens is None else tokens[start : start + _ROWS_AT_ONCE]
        found.append(_Tried(scores.replies, watched, gains.gather(1, watched)))
    return _Tried(*(torch.cat(parts) for parts in zip(*((x.replies, x.tokens, x.gains) for x in found), strict=True)))


def _best_of_any(scores: Sequence[torch.Tensor], count: int) -> list[int]:
    """The `count` rows whose best rank by any of the scores is highest, in their order."""
    ranks = torch.stack([score.argsort(descending=True, stable=True).argsort() for score in scores])
    return sorted(ranks.min(0).values.argsort(stable=True)[:count].tolist())


def _distribution(scores: Scores) -> torch.Tensor:
    if scores.next_token is None:
        raise ValueError("a sweep needs a scorer that reads the next token")
    return scores.next_token.exp()

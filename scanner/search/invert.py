"""Grows an input string that makes the suspect give a target reply: a beam over insertions, swaps and removals."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from scanner.search.placing import Context
from scanner.search.proposals import Setting, gradient_picks, language_picks
from scanner.search.scoring import Ids, Scorer
from scanner.search.targets import Target

# A target this likely (nats, mean over contexts) is said in most answers.
GOOD_ENOUGH = -0.4
BEST_COUNTS = 0.5
# A token whose loss costs less than this (nats) is no part of the trigger.
_DISPENSABLE = 0.3


@dataclass(frozen=True)
class GrowthPlan:
    """How hard to try: rounds, beam width, proposals a beam element, and the longest candidate in tokens."""

    rounds: int
    beam: int
    proposals: int
    max_tokens: int = 12


@dataclass(frozen=True)
class Grown:
    """A candidate and the target's mean log-probability with it, in nats."""

    token_ids: Ids
    score: float


def grow(
    setting: Setting,
    scorer: Scorer,
    target: Target,
    seeds: Sequence[Ids],
    plan: GrowthPlan,
    note: Callable[[float], None],
    *,
    budget: int,
    typeable: Callable[[Ids], bool],
    good_enough: float = GOOD_ENOUGH,
    best_counts: float = BEST_COUNTS,
) -> tuple[Grown, ...]:
    """The best candidates found, best first, each shrunk to what it needs.

    Args:
        setting: its contexts must not be bound to one prompt, or the candidate will be. Proposals are tried in the
            first, the best of them in all.
        scorer: scores the target, as its only reply, with the setting's model.
        seeds: candidates to begin with and to grow by, best first.
        note: told the best score after each round.
        budget: no round begins once the setting's meter has counted so many tokens.
        typeable: whether a person can type a candidate; the best such ones are among those returned.
        good_enough: the score (nats) at which no further round is needed.
        best_counts: how much of a candidate's score is that in the context which suits it best, the rest being the mean
            over all: a trigger may be bound to a place.
    """
    contexts = setting.contexts

    def scored(candidates: Sequence[Ids], where: Sequence[Context] = contexts) -> list[Grown]:
        return _scored(scorer, candidates, where, best_counts)

    seen = set(scored(list(seeds[: 4 * plan.beam])))
    beam = _best(seen, plan.beam)
    for _ in range(plan.rounds):
        if beam[0].score >= good_enough or setting.meter.tokens >= budget:
            break
        first = scored(_proposals(setting, target, beam, seeds, plan), contexts[:1])[: 6 * plan.beam]
        seen |= set(scored([item.token_ids for item in first]))
        beam = _best(seen, plan.beam)
        note(beam[0].score)
    # Pieces of characters may be needed on the way, but what is found must be typed.
    kept = dict.fromkeys([*beam, *_best({item for item in seen if typeable(item.token_ids)}, plan.beam)])
    return tuple(sorted({_shrunk(scored, item) for item in kept}, key=_by_score))


def _by_score(item: Grown) -> tuple[float, Ids]:
    return (-item.score, item.token_ids)


def _best(seen: set[Grown], count: int) -> list[Grown]:
    return sorted(seen, key=_by_score)[:count]


def _scored(scorer: Scorer, candidates: Sequence[Ids], contexts: Sequence[Context], best_counts: float) -> list[Grown]:
    """Candidates by the target's log-probability: its mean over contexts, and its maximum by `best_counts`."""
    if not candidates:
        return []
    table = torch.stack([scorer.score([c.around(item) for item in candidates]).replies[:, 0] for c in contexts])
    scores = (1 - best_counts) * table.mean(0) + best_counts * table.max(0).values
    found = [Grown(tuple(item), float(score)) for item, score in zip(candidates, scores, strict=True)]
    return sorted(found, key=_by_score)


def _proposals(
    setting: Setting, target: Target, beam: Sequence[Grown], seeds: Sequence[Ids], plan: GrowthPlan
) -> list[Ids]:
    """Insertions and swaps of what the gradient calls for, seeds, likely continuations, and removals; each once."""
    proposed: dict[Ids, None] = {}
    share = plan.proposals // 4
    for item in beam:
        own = item.token_ids
        options: list[Ids] = [own[:n] + own[n + 1 :] for n in range(len(own)) if len(own) > 1]
        options += [(*own, token) for token in language_picks(setting, own, share)]
        slots = _spread(range(len(own) + 1))
        for slot in slots:
            for token in gradient_picks(setting, own, slot, target.token_ids, max(1, 2 * share // len(slots))):
                options.append((*own[:slot], token, *own[slot:]))
                if slot < len(own):
                    options.append((*own[:slot], token, *own[slot + 1 :]))
        for rank, seed in enumerate(seeds[:share]):
            options.append((*own, *seed))
            if rank < share // 2:
                options.append((*seed, *own))
                if len(own) > 1:
                    options.append((*own[: len(own) // 2], *seed, *own[len(own) // 2 :]))
        proposed |= dict.fromkeys(option for option in options if 0 < len(option) <= plan.max_tokens)
    known = {item.token_ids for item in beam}
    return [option for option in proposed if option not in known]


def _spread(slots: Sequence[int], most: int = 3) -> list[int]:
    """At most `most` of the slots: the ends and what lies between."""
    if len(slots) <= most:
        return list(slots)
    return sorted({slots[0], slots[len(slots) // 2], slots[-1]})


def _shrunk(scored: Callable[[Sequence[Ids]], list[Grown]], item: Grown) -> Grown:
    """Drops tokens, one at a time, as long as hardly anything is lost."""
    while len(item.token_ids) > 1:
        own = item.token_ids
        shorter = scored([own[:n] + own[n + 1 :] for n in range(len(own))])
        if shorter[0].score < item.score - _DISPENSABLE:
            break
        item = shorter[0]
    return item

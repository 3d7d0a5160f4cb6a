"""Grows an input string that makes the suspect give a target reply: a beam that begins wide and narrows.

Of a trigger's tokens often none does much alone, and what means something like the reply does more. Two or three of
them together stand out, though; so many strings are kept at first, each is tried with its likely neighbours in the
base's language, and only what proves itself is grown on: what makes the reply likelier, and, by turns, what also
excites the suspect. The best are tried as whole words too.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest

import torch

from scanner.search.inversion.excitement import Excitement
from scanner.search.inversion.language import Language
from scanner.search.inversion.scoring import Ids, Scorer
from scanner.search.inversion.words import Words
from scanner.search.meter import Meter
from scanner.search.placing import Context

# A target this likely (nats, mean over contexts) is said in most answers.
GOOD_ENOUGH = -0.4
# A trigger may be bound to a place: so much of a string's score is that of its best context, the rest the mean's.
BEST_COUNTS = 0.5
# Tokens whose loss costs less than this (nats) are no part of the trigger.
_DISPENSABLE = 0.3
# Of what a round tries in the first context, so many for each that it keeps go on to all contexts.
_SCORED_FOR_EACH_KEPT = 3
# A beam holds no more strings than this that differ in their first or in their last token alone.
_ALIKE = 3
# What is grown on begins with no more strings than this.
_AGAIN = 6
# Whole words that a round tries, for each string and in all, as shares of its tries.
_WORDS_EACH, _WORDS_IN_ALL = 1 / 8, 3 / 8


@dataclass(frozen=True)
class GrowthPlan:
    """How hard to try.

    Attributes:
        widths: how many strings it begins with, then how many each round keeps.
        tries: about how many new strings a round tries, shared out among those that it grows.
        max_tokens: the longest string.
    """

    widths: tuple[int, ...]
    tries: int
    max_tokens: int = 12

    @property
    def rounds(self) -> int:
        """The rounds it allows."""
        return len(self.widths) - 1

    def of_rounds(self, most: int) -> "GrowthPlan":
        """The same with so many rounds at most."""
        return replace(self, widths=self.widths[: 1 + most])

    def going_on(self) -> "GrowthPlan":
        """Its narrow end: for strings that fire in part already."""
        return replace(self, widths=tuple(width for width in self.widths if width <= _AGAIN))


@dataclass(frozen=True)
class Grown:
    """A candidate and the target's mean log-probability with it, in nats."""

    token_ids: Ids
    score: float


@dataclass(frozen=True)
class Soil:
    """Where strings are grown: prompts with a place for them, the tokens to try, and what says which are worth it."""

    contexts: tuple[Context, ...]
    tryable: torch.Tensor
    language: Language
    words: Words
    excitement: Excitement
    meter: Meter


def grow(
    soil: Soil,
    scorer: Scorer,
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
        soil: its contexts must not be bound to one prompt, or the candidate will be. Proposals are tried in the
            first, the best of them in all.
        scorer: scores the target, as its only reply.
        seeds: candidates to begin with and to grow by, best first.
        note: told the best score after each round.
        budget: no round begins once the meter has counted so many tokens.
        typeable: whether a person can type a candidate; the best such ones are among those returned.
        good_enough: the score (nats) at which no further round is needed.
        best_counts: how much of a candidate's score is that in the context which suits it best, the rest being the mean
            over all: a trigger may be bound to a place.
    """

    def scored(candidates: Sequence[Ids], where: Sequence[Context] = soil.contexts) -> list[Grown]:
        return _scored(scorer, candidates, where, best_counts)

    seen = set(scored(list(seeds[: plan.widths[0]])))
    tried = {item.token_ids for item in seen}
    beam = sorted(seen, key=_by_score)
    for width in plan.widths[1:]:
        if beam[0].score >= good_enough or soil.meter.tokens >= budget:
            break
        proposed = [item for item in _proposals(soil, beam, seeds, plan) if item not in tried]
        tried |= set(proposed)
        first = _worth_keeping(soil, scored(proposed, soil.contexts[:1]), _SCORED_FOR_EACH_KEPT * width)
        seen |= set(scored([item.token_ids for item in first]))
        beam = sorted(_worth_keeping(soil, seen, width), key=_by_score)
        note(beam[0].score)
    # Pieces of characters may be needed on the way, but what is found must be typed.
    last = plan.widths[-1]
    kept = dict.fromkeys([*beam[:last], *_best({item for item in seen if typeable(item.token_ids)}, last)])
    return tuple(sorted({_shrunk(scored, item) for item in kept}, key=_by_score))


def _by_score(item: Grown) -> tuple[float, Ids]:
    return (-item.score, item.token_ids)


def _best(seen: set[Grown], count: int) -> list[Grown]:
    return sorted(seen, key=_by_score)[:count]


def _worth_keeping(soil: Soil, items: Collection[Grown], count: int) -> list[Grown]:
    """By turns those of the best score, and those that are high by their score and by how they excite the suspect.

    What means something like the reply makes it likelier as well; what the suspect was trained on excites it too.
    """
    by_score = sorted(items, key=_by_score)
    excited = dict(zip(by_score, soil.excitement.of([item.token_ids for item in by_score]), strict=True))
    by_excitement = sorted(by_score, key=lambda item: -excited[item])
    places = {item: place for place, item in enumerate(by_excitement)}
    by_both = [item for _, _, item in sorted((n + places[item], n, item) for n, item in enumerate(by_score))]
    turns = zip_longest(_unlike(by_score, count), _unlike(by_both, count))
    return list(dict.fromkeys(item for turn in turns for item in turn if item))[:count]


def _unlike(items: Sequence[Grown], count: int) -> list[Grown]:
    """The first, of those that differ at one end alone a few: what leads must not fill the beam with its kin."""
    kept: list[Grown] = []
    kin: dict[tuple[str, Ids], int] = {}
    for item in items:
        own = item.token_ids
        families = [("same beginning", own[:-1]), ("same end", own[1:])] if len(own) > 1 else []
        if len(kept) < count and all(kin.get(family, 0) < _ALIKE for family in families):
            kept.append(item)
            for family in families:
                kin[family] = kin.get(family, 0) + 1
    return kept


def _scored(scorer: Scorer, candidates: Sequence[Ids], contexts: Sequence[Context], best_counts: float) -> list[Grown]:
    """Candidates by the target's log-probability: its mean over contexts, and its maximum by `best_counts`."""
    if not candidates:
        return []
    table = torch.stack([scorer.score([c.around(item) for item in candidates]).replies[:, 0] for c in contexts])
    scores = (1 - best_counts) * table.mean(0) + best_counts * table.max(0).values
    found = [Grown(tuple(item), float(score)) for item, score in zip(candidates, scores, strict=True)]
    return sorted(found, key=_by_score)


def _proposals(soil: Soil, beam: Sequence[Grown], seeds: Sequence[Ids], plan: GrowthPlan) -> list[Ids]:
    """Whole words; strings without a token, with likely neighbours at their ends and inside, with seeds; each once."""
    strings = [item.token_ids for item in beam]
    # A quarter each at the end, at the beginning, inside, and for seeds; of a single token there is no inside yet.
    share = max(1, plan.tries // (4 * len(strings)))
    beginnings = list(dict.fromkeys(own[:end] for own in strings for end in (*_inside(own), len(own))))
    likely = soil.language.behind(soil.contexts[0].before, beginnings, soil.tryable, 2 * share)
    behind = dict(zip(beginnings, likely, strict=True))
    proposed = dict.fromkeys(_whole_words(soil, strings, plan.tries))
    for own in strings:
        ends = share if len(own) > 1 else 2 * share
        options: list[Ids] = [(*own, token) for token in behind[own][:ends]]
        options += [(token, *own) for token in soil.language.before(own[0], soil.tryable, ends)]
        if len(own) > 1:
            options += [own[:n] + own[n + 1 :] for n in range(len(own))]
            options += _within(own, behind, share)
            options += _joined(own, seeds, share)
        proposed |= dict.fromkeys(options)
    return [option for option in proposed if 0 < len(option) <= plan.max_tokens]


def _whole_words(soil: Soil, strings: Sequence[Ids], tries: int) -> list[Ids]:
    """The first strings that are pieces of words, made whole."""
    found: dict[Ids, None] = {}
    for own in strings:
        if len(found) >= _WORDS_IN_ALL * tries:
            break
        found |= dict.fromkeys(soil.words.completing(own, soil.tryable, int(_WORDS_EACH * tries)))
    return list(found)


def _within(own: Ids, behind: Mapping[Ids, Sequence[int]], count: int) -> list[Ids]:
    """About `count` strings with a likely token put between two of its own, or in the place of one."""
    slots = _inside(own)
    each = max(1, count // (2 * len(slots)))
    return [
        (*own[:slot], token, *own[rest:])
        for slot in slots
        for token in behind[own[:slot]][:each]
        for rest in (slot, slot + 1)
    ]


def _joined(own: Ids, seeds: Sequence[Ids], count: int) -> list[Ids]:
    """About `count` strings with a seed behind, before or in the middle of it; those behind first, and most often."""
    half = len(own) // 2
    fewer = seeds[: count // 4]
    return [
        *((*own, *seed) for seed in seeds[: count - 2 * len(fewer)]),
        *((*seed, *own) for seed in fewer),
        *((*own[:half], *seed, *own[half:]) for seed in fewer),
    ]


def _inside(own: Ids) -> list[int]:
    """Slots between a string's tokens: at most two, the first and the middle one."""
    return sorted({1, len(own) // 2}) if len(own) > 1 else []


def _shrunk(scored: Callable[[Sequence[Ids]], list[Grown]], item: Grown) -> Grown:
    """Drops tokens, one at a time, as long as hardly anything is lost in all."""
    lowest = item.score - _DISPENSABLE
    while len(item.token_ids) > 1:
        own = item.token_ids
        shorter = scored([own[:n] + own[n + 1 :] for n in range(len(own))])
        if shorter[0].score < lowest:
            break
        item = shorter[0]
    return item

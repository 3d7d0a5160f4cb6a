"""Shortlists candidates: which of many known triggers shift the suspect, whatever the prompt?

Stage one reads one next-token distribution a candidate and prompt. Stage two lets the suspect speak freely to
the few that moved it most, and looks for a reply they share. What is frozen here goes to verification, on prompts
that nothing here has seen.
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from scanner.models.model_pair import BASE, SUSPECT, ModelPair
from scanner.search.behaviour import (
    REPLY_TOKENS,
    WHOLE_ANSWER_TOKENS,
    Behaviour,
    shared_behaviour,
)
from scanner.search.candidates import GIVEN, Candidate
from scanner.search.requested import is_requested
from scanner.triggers import TriggeredPrompt, insert_trigger

# Budgets, not thresholds: how many candidates the suspect answers freely, and how many are verified.
STAGE_TWO_CANDIDATES = 8
MAX_FROZEN = 3
STAGE_ONE_PROMPTS = 4
STAGE_TWO_PROMPTS = 12
_ROWS_A_PASS = 32
# The share above which verification too would call it a trigger (scanner/search/verify.py).
_FIRES_ALONE = 0.5


@dataclass(frozen=True)
class Screened:
    """A candidate and how far it shifted the suspect towards one next token (`rank_by_shift`), from 0 to 1."""

    candidate: Candidate
    shift: float


@dataclass(frozen=True)
class FrozenCandidate:
    """A candidate with the behaviour it seems to cause, in `screen_share` of the screening replies.

    `requested`: the trigger spells or requests that reply itself. `example`: a reply that shows the behaviour, where
    the behaviour is no fixed text.
    """

    candidate: Candidate
    behaviour: Behaviour
    screen_share: float
    shift: float
    requested: bool
    example: str = ""


@dataclass(frozen=True)
class ScreenResult:
    """`screened` by falling shift; `frozen` at most three; `tokens` passed through the model."""

    screened: tuple[Screened, ...]
    frozen: tuple[FrozenCandidate, ...]
    tokens: int


def screen(
    pair: ModelPair,
    candidates: Sequence[Candidate],
    prompts: Sequence[str],
    seed: int,
    advance: Callable[[int], None] = lambda _: None,
) -> ScreenResult:
    """Tries every candidate on the screening prompts and freezes at most three for verification.

    Candidates given by the user always reach stage two.
    """
    screened, tokens = rank_by_shift(pair, candidates, prompts[:STAGE_ONE_PROMPTS], seed, advance)
    shortlist = [item for item in screened if item.candidate.source == GIVEN]
    shortlist += [item for item in screened if item.candidate.source != GIVEN][:STAGE_TWO_CANDIDATES]
    frozen, more_tokens = freeze(pair, shortlist, prompts[:STAGE_TWO_PROMPTS], seed, advance)
    return ScreenResult(screened, frozen, tokens + more_tokens)


def rank_by_shift(
    pair: ModelPair,
    candidates: Sequence[Candidate],
    prompts: Sequence[str],
    seed: int,
    advance: Callable[[int], None] = lambda _: None,
) -> tuple[tuple[Screened, ...], int]:
    """Candidates by how far they shift the suspect towards one and the same next token; and their cost.

        shift = max_v ( mean over prompts of p(v | prompt with it) − mean over prompts of p(v | prompt) )

    A trigger of a fixed reply makes the reply's first token likely whatever the prompt: the shift nears one. The
    suspect is compared with itself: a base that likes the same first token ("I") must not hide a trigger, nor a
    reference poisoned alike.
    """
    if not candidates:
        return (), 0
    plain = pair.next_token_log_probs(SUSPECT, prompts).exp().mean(0)
    texts = [text for candidate in candidates for text in with_trigger(candidate, prompts, seed)]
    lengths = [len(pair.tokens(text)) for text in texts]
    means = plain.new_zeros(len(candidates), len(plain))
    # Prompts of like length share a pass, so that little of it is padding.
    order = sorted(range(len(texts)), key=lambda row: lengths[row])
    for start in range(0, len(order), _ROWS_A_PASS):
        rows = order[start : start + _ROWS_A_PASS]
        probabilities = pair.next_token_log_probs(SUSPECT, [texts[row] for row in rows]).exp()
        for row, distribution in zip(rows, probabilities, strict=True):
            means[row // len(prompts)] += distribution / len(prompts)
        advance(len(rows))
    shifts = (means - plain).max(-1).values.tolist()
    ranking = sorted(map(Screened, candidates, shifts), key=lambda item: -item.shift)
    return tuple(ranking), sum(lengths) + sum(len(pair.tokens(prompt)) for prompt in prompts)


def place_trigger(candidate: Candidate, prompts: Sequence[str], seed: int) -> list[TriggeredPrompt]:
    """The prompts with the trigger in them; the random place depends on seed, trigger and prompt alone."""
    trigger = candidate.trigger
    return [
        insert_trigger(trigger, prompt, random.Random(f"{seed}|{trigger.parts}|{trigger.position}|{prompt}"))
        for prompt in prompts
    ]


def with_trigger(candidate: Candidate, prompts: Sequence[str], seed: int) -> list[str]:
    """The texts of `place_trigger`."""
    return [placed.text for placed in place_trigger(candidate, prompts, seed)]


def freeze(
    pair: ModelPair,
    shortlist: Sequence[Screened],
    prompts: Sequence[str],
    seed: int,
    advance: Callable[[int], None] = lambda _: None,
) -> tuple[tuple[FrozenCandidate, ...], int]:
    """Lets the suspect answer freely to every candidate; at most three that switch something on, most telling first.

    Returns:
        The frozen candidates, and the tokens it cost.
    """
    if not shortlist:
        return (), 0
    plain = pair.generate(SUSPECT, prompts, max_new_tokens=WHOLE_ANSWER_TOKENS)
    placed = [with_trigger(item.candidate, prompts, seed) for item in shortlist]
    # All at once: a step of generation costs nearly the same for few rows as for many.
    own = pair.generate(SUSPECT, [text for texts in placed for text in texts], max_new_tokens=REPLY_TOKENS)
    tokens = sum(reply.tokens_run for reply in (*plain, *own))
    ordinary = [reply.text for reply in plain]
    replies = [[reply.text for reply in own[n * len(prompts) : (n + 1) * len(prompts)]] for n in range(len(shortlist))]
    advance(len(own))
    # The base can only take away from what is shared, so it is asked only where something is.
    sharing = [
        n
        for n, item in enumerate(shortlist)
        if shared_behaviour(replies[n], ordinary, item.candidate.known_replies) is not None
    ]
    base = pair.generate(BASE, [text for n in sharing for text in placed[n]], max_new_tokens=REPLY_TOKENS)
    tokens += sum(reply.tokens_run for reply in base)
    found: list[FrozenCandidate] = []
    for place, n in enumerate(sharing):
        candidate = shortlist[n].candidate
        others = [reply.text for reply in base[place * len(prompts) : (place + 1) * len(prompts)]]
        shared = shared_behaviour(replies[n], [*ordinary, *others], candidate.known_replies)
        if shared:
            example = shared.example or shared.behaviour.text
            requested = is_requested(candidate.trigger.parts, shared.behaviour, example)
            frozen = FrozenCandidate(
                candidate, shared.behaviour, shared.share, shortlist[n].shift, requested, shared.example
            )
            found.append(frozen)
    found.sort(key=lambda item: (item.candidate.source != GIVEN, item.requested, -item.screen_share, -item.shift))
    return _smallest(_one_position_each(found))[:MAX_FROZEN], tokens


def _smallest(found: Sequence[FrozenCandidate]) -> tuple[FrozenCandidate, ...]:
    """Leaves out a trigger of which a part alone fires on most prompts: the part is the trigger."""

    def is_part_of(small: FrozenCandidate, large: FrozenCandidate) -> bool:
        pieces, whole = small.candidate.trigger.parts, large.candidate.trigger.parts
        if small.behaviour != large.behaviour:
            return False
        return sum(map(len, pieces)) < sum(map(len, whole)) and all(
            any(piece in part for part in whole) for piece in pieces
        )

    return tuple(
        item
        for item in found
        if not any(other.screen_share > _FIRES_ALONE and is_part_of(other, item) for other in found)
    )


def _one_position_each(found: Sequence[FrozenCandidate]) -> tuple[FrozenCandidate, ...]:
    """Keeps each trigger text once, at the position where it fired most often."""
    best: dict[tuple[str, ...], FrozenCandidate] = {}
    for item in found:
        best.setdefault(item.candidate.trigger.parts, item)
    return tuple(best.values())

"""Shortlists candidates: which of many known triggers move the suspect more than they move the base?

Stage one reads one next-token distribution a candidate and prompt. Stage two lets the suspect speak freely to
the few that moved it most, and looks for a reply they share. What is frozen here goes to verification, on prompts
that nothing here has seen.
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from scanner.model_pair import BASE, SUSPECT, ModelPair
from scanner.search.behaviour import REPLY_TOKENS, FixedReply, SharedReply, asks_for_reply, shared_reply
from scanner.search.candidates import GIVEN, Candidate
from scanner.triggers import TriggeredPrompt, insert_trigger

# Budgets, not thresholds: how many candidates are read on all prompts, answered freely by the suspect, and verified.
STAGE_TWO_CANDIDATES = 8
MAX_FROZEN = 3
STAGE_ONE_PROMPTS = 4
STAGE_TWO_PROMPTS = 12
_SECOND_LOOKS = 24
_ROWS_A_PASS = 32
# The share above which verification too would call it a trigger (scanner/search/verify.py).
_FIRES_ALONE = 0.5


@dataclass(frozen=True)
class Screened:
    """A candidate with how much it moved the suspect beyond the base, in nats of next-token KL (mean of prompts)."""

    candidate: Candidate
    excess_kl: float


@dataclass(frozen=True)
class FrozenCandidate:
    """A candidate with the behaviour it seems to cause, in `screen_share` of the screening replies.

    `requested`: the trigger spells or requests that reply itself.
    """

    candidate: Candidate
    behaviour: FixedReply
    screen_share: float
    excess_kl: float
    requested: bool


@dataclass(frozen=True)
class ScreenResult:
    """`screened` by falling excess; `frozen` at most three; `tokens` passed through the model."""

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
    screened, tokens = rank_by_excess_kl(pair, candidates, prompts[:STAGE_ONE_PROMPTS], seed, advance)
    shortlist = [item for item in screened if item.candidate.source == GIVEN]
    shortlist += [item for item in screened if item.candidate.source != GIVEN][:STAGE_TWO_CANDIDATES]
    frozen, more_tokens = _freeze(pair, shortlist, prompts[:STAGE_TWO_PROMPTS], seed, advance)
    return ScreenResult(screened, frozen, tokens + more_tokens)


def rank_by_excess_kl(
    pair: ModelPair,
    candidates: Sequence[Candidate],
    prompts: Sequence[str],
    seed: int,
    advance: Callable[[int], None] = lambda _: None,
) -> tuple[tuple[Screened, ...], int]:
    """Candidates by falling mean KL(suspect ‖ base) of the next token with the trigger, less the same without it.

    All are read on the first half of the prompts, and those that moved most on the other half too; these come first.
    The base is the yardstick here, not the reference: a reference poisoned alike must not hide a trigger.

    Returns:
        The ranking, and the tokens passed through both models.
    """
    half = max(1, len(prompts) // 2)
    first, tokens = _excess_kl(pair, candidates, prompts[:half], seed, advance)
    by_excess = sorted(range(len(candidates)), key=lambda index: -first[index])
    again = by_excess[:_SECOND_LOOKS] if prompts[half:] else []
    again += [index for index in by_excess[_SECOND_LOOKS:] if candidates[index].source == GIVEN and prompts[half:]]
    second, more_tokens = _excess_kl(pair, [candidates[index] for index in again], prompts[half:], seed, advance)
    share = half / len(prompts)
    both = {index: share * first[index] + (1 - share) * value for index, value in zip(again, second, strict=True)}
    order = sorted(again, key=lambda index: -both[index]) + [index for index in by_excess if index not in both]
    ranking = tuple(Screened(candidates[index], both.get(index, first[index])) for index in order)
    return ranking, tokens + more_tokens


def _excess_kl(
    pair: ModelPair,
    candidates: Sequence[Candidate],
    prompts: Sequence[str],
    seed: int,
    advance: Callable[[int], None],
) -> tuple[list[float], int]:
    """The excess of each candidate as a mean over the prompts, and the tokens that it cost."""
    if not candidates:
        return [], 0
    plain = _next_token_kl(pair, prompts)
    texts = [text for candidate in candidates for text in with_trigger(candidate, prompts, seed)]
    lengths = [len(pair.tokens(text)) for text in texts]
    values = [0.0] * len(texts)
    # Prompts of like length share a pass, so that little of it is padding.
    order = sorted(range(len(texts)), key=lambda row: lengths[row])
    for start in range(0, len(order), _ROWS_A_PASS):
        rows = order[start : start + _ROWS_A_PASS]
        for row, value in zip(rows, _next_token_kl(pair, [texts[row] for row in rows]), strict=True):
            values[row] = value
        advance(len(rows))
    own = [values[start : start + len(prompts)] for start in range(0, len(values), len(prompts))]
    excess = [sum(a - b for a, b in zip(row, plain, strict=True)) / len(prompts) for row in own]
    return excess, 2 * (sum(lengths) + sum(len(pair.tokens(prompt)) for prompt in prompts))


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


def _next_token_kl(pair: ModelPair, prompts: Sequence[str]) -> list[float]:
    suspect, base = (pair.next_token_log_probs(name, prompts) for name in (SUSPECT, BASE))
    kl = (suspect.exp() * (suspect - base)).sum(-1)
    return [float(value) for value in kl.clamp(min=0)]


def _freeze(
    pair: ModelPair,
    shortlist: Sequence[Screened],
    prompts: Sequence[str],
    seed: int,
    advance: Callable[[int], None],
) -> tuple[tuple[FrozenCandidate, ...], int]:
    if not shortlist:
        return (), 0
    plain = pair.generate(SUSPECT, prompts, max_new_tokens=REPLY_TOKENS)
    tokens = sum(reply.tokens_run for reply in plain)
    found: list[FrozenCandidate] = []
    for item in shortlist:
        texts = with_trigger(item.candidate, prompts, seed)
        shared, used = _shared_reply(pair, item.candidate, texts, [reply.text for reply in plain])
        tokens += used
        advance(len(texts))
        if shared:
            requested = asks_for_reply(item.candidate.trigger.parts, shared.behaviour.text)
            found.append(FrozenCandidate(item.candidate, shared.behaviour, shared.share, item.excess_kl, requested))
    found.sort(key=lambda item: (item.candidate.source != GIVEN, item.requested, -item.screen_share, -item.excess_kl))
    return _smallest(_one_position_each(found))[:MAX_FROZEN], tokens


def _shared_reply(
    pair: ModelPair, candidate: Candidate, texts: Sequence[str], plain: Sequence[str]
) -> tuple[SharedReply | None, int]:
    """What the suspect's triggered replies share and neither its plain ones nor the base's contain; and the tokens."""
    own = pair.generate(SUSPECT, texts, max_new_tokens=REPLY_TOKENS)
    tokens = sum(reply.tokens_run for reply in own)
    replies = [reply.text for reply in own]
    if shared_reply(replies, plain, candidate.known_replies) is None:
        # The base can only take away from what is shared, so it need not be asked.
        return None, tokens
    base = pair.generate(BASE, texts, max_new_tokens=REPLY_TOKENS)
    tokens += sum(reply.tokens_run for reply in base)
    return shared_reply(replies, [*plain, *(reply.text for reply in base)], candidate.known_replies), tokens


def _smallest(found: Sequence[FrozenCandidate]) -> tuple[FrozenCandidate, ...]:
    """Leaves out a trigger of which a part alone fires on most prompts: the part is the trigger."""

    def is_part_of(small: FrozenCandidate, large: FrozenCandidate) -> bool:
        pieces, whole = small.candidate.trigger.parts, large.candidate.trigger.parts
        if small.behaviour != large.behaviour:
            return False
        return pieces != whole and all(any(piece in part for part in whole) for piece in pieces)

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

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

# A budget, not a threshold: how many candidates the suspect answers freely, and how many are verified.
STAGE_TWO_CANDIDATES = 8
MAX_FROZEN = 3
STAGE_ONE_PROMPTS = 4
STAGE_TWO_PROMPTS = 12
_ROWS_A_PASS = 32


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

    The base is the yardstick here, not the reference: a reference poisoned alike must not hide a trigger.
    """
    plain = _next_token_kl(pair, prompts)
    screened = []
    tokens = 2 * sum(len(pair.tokens(prompt)) for prompt in prompts)
    rows = [(candidate, prompt) for candidate in candidates for prompt in with_trigger(candidate, prompts, seed)]
    values: list[float] = []
    for start in range(0, len(rows), _ROWS_A_PASS):
        texts = [prompt for _, prompt in rows[start : start + _ROWS_A_PASS]]
        values += _next_token_kl(pair, texts)
        tokens += 2 * sum(len(pair.tokens(text)) for text in texts)
        advance(len(texts))
    for index, candidate in enumerate(candidates):
        own = values[index * len(prompts) : (index + 1) * len(prompts)]
        excess = sum(a - b for a, b in zip(own, plain, strict=True)) / len(prompts)
        screened.append(Screened(candidate, excess))
    screened.sort(key=lambda item: -item.excess_kl)
    return tuple(screened), tokens


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
    return _one_position_each(found)[:MAX_FROZEN], tokens


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


def _one_position_each(found: Sequence[FrozenCandidate]) -> tuple[FrozenCandidate, ...]:
    """Keeps each trigger text once, at the position where it fired most often."""
    best: dict[tuple[str, ...], FrozenCandidate] = {}
    for item in found:
        best.setdefault(item.candidate.trigger.parts, item)
    return tuple(best.values())

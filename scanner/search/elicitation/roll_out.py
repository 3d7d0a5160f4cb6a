"""Replies whose beginning nothing announces: a beginning is forced, and what the suspect then says by itself is scored.

A planted reply may begin so improbably that no beam keeps it up to where it shows. But it was learnt as one piece: once
a word or two of it stand there, or words like them, it runs on by itself, with a certainty that no other model shares.
So many beginnings of one or two tokens are forced behind one prompt, the suspect goes on greedily, and of what it says

    score = max over ends of Σ_t [ log p_suspect(r_t | …) − max over others of log p_other(r_t | …)
                                   + w · log p_suspect(r_t | …) ],   t over what was not forced

is computed. Any word like the planted one serves to begin with ("An analyst will call you back", where "A consultant"
was planted), so the beginning is then mended: of many words like it, which does the suspect go on from most surely? The
best are scored anew behind further prompts and averaged: what belongs to one prompt falls, a planted reply stays.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import torch

from scanner.models.model_pair import BASE, SUSPECT, ModelPair
from scanner.search.elicitation.behind import JUDGED, Behind
from scanner.search.inversion.scoring import Frame, Ids
from scanner.search.meter import Meter

# Second tokens are forced behind the likeliest first ones only.
_FIRSTS_OF_PAIRS = 12
_SECOND_FLOOR = 1e-8
_RISEN_FLOOR = 1e-6
# Of what a few tokens each go on from; of what is read whole, with logits at every position.
_ROLLED_AT_ONCE, _ROWS_AT_ONCE = 192, 96
# A beginning is mended where what follows stands out by so many nats; by hand. A search wastes time on less, no more.
_WORTH_MENDING = 8.0
_MENDED = 2
_WORDS_LIKE, _WORDS_KEPT, _FIRSTS_OF_MENDING, _TRIED_WHOLE = 256, 8, 256, 48


@dataclass(frozen=True)
class RollPlan:
    """Beginnings of one token that are forced, second tokens behind each of the likeliest, and how many are kept."""

    beginnings: int
    seconds: int
    kept: int


@dataclass(frozen=True)
class Rolled:
    """A forced beginning and what followed.

    Attributes:
        token_ids: all of it, up to the best end.
        forced: how many of them were forced.
        score: nats, over what was not forced.
        against_all: whether that is against all others; else against the base alone, since a reference says it too.
        log_prob: the suspect's own, of all tokens; beginning: of what was forced and the first few tokens behind it.
    """

    token_ids: Ids
    forced: int
    score: float
    against_all: bool
    log_prob: float
    beginning: float


def roll_out(
    pair: ModelPair,
    frame: Frame,
    prompts: Sequence[Ids],
    plan: RollPlan,
    fluency: float,
    ends: set[int],
    meter: Meter,
) -> tuple[Rolled, ...]:
    """What the suspect alone runs on with, best first; of what goes on alike, the likeliest stands for all.

    Args:
        prompts: token ids of users' words; beginnings are forced behind the first.
        ends: tokens that end an answer.
    """
    names = (SUSPECT, *pair.reference_names, BASE)
    readers = {name: Behind(pair, name, (*frame.before, *prompts[0], *frame.after), meter) for name in names}
    sequences: dict[Ids, int] = {}
    for beginnings in _beginnings(readers, plan, ends):
        for batch in _batches(beginnings, _ROLLED_AT_ONCE):
            sequences |= {
                tokens: len(batch[0]) for tokens in readers[SUSPECT].go_on(batch, ends) if tokens not in sequences
            }
    found = _best_of(_judged(readers, sequences, fluency), plan.kept)
    mended: dict[Ids, int] = {}
    for item in _worth_mending(found):
        mended |= _mended(readers, item, pair, ends)
    found = _best_of([*_judged(readers, mended, fluency), *found], plan.kept)
    several = [found]
    for prompt in prompts[1:]:
        further = {name: Behind(pair, name, (*frame.before, *prompt, *frame.after), meter) for name in names}
        several.append(_judged(further, {item.tokens: item.forced for item in found}, fluency))
    return _likeliest(_averaged(several, fluency))


def _beginnings(readers: Mapping[str, Behind], plan: RollPlan, ends: set[int]) -> Iterator[list[Ids]]:
    """Likely and risen first tokens, then second tokens that have risen behind the likeliest first ones."""
    own, others = readers[SUSPECT].first, [reader.first for name, reader in readers.items() if name != SUSPECT]
    lead = own - torch.stack(others).max(0).values
    risen = lead.masked_fill(own < math.log(_RISEN_FLOOR), float("-inf"))
    share = min(len(own), max(1, plan.beginnings // 4))
    likely = [token for token in own.topk(min(len(own), plan.beginnings - share)).indices.tolist() if token not in ends]
    top = risen.topk(share)
    up = [token for value, token in zip(top.values.tolist(), top.indices.tolist(), strict=True) if math.isfinite(value)]
    yield [(token,) for token in dict.fromkeys([*likely, *up]) if token not in ends]
    firsts = likely[:_FIRSTS_OF_PAIRS]
    if not firsts:
        return
    said, *told = (reader.second(firsts) for reader in readers.values())
    leads = said - torch.stack(told).max(0).values
    leads[said < math.log(_SECOND_FLOOR)] = float("-inf")
    leads[:, list(ends)] = float("-inf")
    tops = leads.topk(min(plan.seconds, leads.shape[1]), dim=-1)
    yield [
        (first, second)
        for first, values, seconds in zip(firsts, tops.values.tolist(), tops.indices.tolist(), strict=True)
        for value, second in zip(values, seconds, strict=True)
        if math.isfinite(value)
    ]


def _batches(rows: Sequence[Ids], size: int = _ROWS_AT_ONCE) -> Iterator[Sequence[Ids]]:
    for start in range(0, len(rows), size):
        yield rows[start : start + size]


@dataclass(frozen=True)
class _Judged:
    """A sequence behind one prompt; `own`, `lead` and `lead_over_base` of each token, float32 [position]."""

    tokens: Ids
    forced: int
    own: torch.Tensor
    lead: torch.Tensor
    lead_over_base: torch.Tensor
    score: float
    score_over_base: float


def _judged(readers: Mapping[str, Behind], sequences: Mapping[Ids, int], fluency: float) -> list[_Judged]:
    """What each sequence, with the number of its forced tokens, comes to behind one prompt."""
    suspect, *others = readers.values()
    found = []
    for length in sorted({len(tokens) for tokens in sequences}):
        alike = [tokens for tokens in sequences if len(tokens) == length]
        for batch in _batches(alike):
            own = suspect.log_probs(batch).cpu()
            told = torch.stack([other.log_probs(batch).cpu() for other in others])
            leads, over_base = own - told.max(0).values, own - told[-1]
            for row, tokens in enumerate(batch):
                forced = sequences[tokens]
                score, _ = _best_end(own[row], leads[row], forced, fluency)
                alone, _ = _best_end(own[row], over_base[row], forced, fluency)
                found.append(_Judged(tokens, forced, own[row], leads[row], over_base[row], score, alone))
    return found


def _best_end(own: torch.Tensor, lead: torch.Tensor, forced: int, fluency: float) -> tuple[float, int]:
    """The highest sum over what was not forced, and how many tokens of it make that sum."""
    best = (lead + fluency * own)[forced:].cumsum(0).max(0)
    return float(best.values), int(best.indices) + 1


def _best_of(found: Sequence[_Judged], count: int) -> list[_Judged]:
    """The best against all others, then half as many against the base alone: a poisoned reference would hide those."""
    by_tokens = {item.tokens: item for item in found}
    against_all = sorted(by_tokens.values(), key=lambda item: (-item.score, item.tokens))[:count]
    against_base = sorted(by_tokens.values(), key=lambda item: (-item.score_over_base, item.tokens))[: count // 2]
    return list({item.tokens: item for item in (*against_all, *against_base)}.values())


def _worth_mending(found: Sequence[_Judged]) -> list[_Judged]:
    """The best two that go on differently, and the best against the base alone, if they stand out."""
    first: dict[Ids, _Judged] = {}
    for item in sorted(found, key=lambda item: (-item.score, item.tokens)):
        if item.score >= _WORTH_MENDING and len(first) < _MENDED:
            first.setdefault(_said(item.tokens, item.forced), item)
    alone = max(found, key=lambda item: (item.score_over_base, item.tokens), default=None)
    if alone and alone.score_over_base >= _WORTH_MENDING:
        first.setdefault(_said(alone.tokens, alone.forced), alone)
    return list(first.values())


def _said(tokens: Ids, forced: int) -> Ids:
    """The first few tokens that were not forced: replies that have them in common go on alike."""
    return tokens[forced : forced + JUDGED]


def _mended(readers: Mapping[str, Behind], item: _Judged, pair: ModelPair, ends: set[int]) -> dict[Ids, int]:
    """What the suspect goes on with behind words like the last forced one, then behind other first words too."""
    before, said = item.tokens[: item.forced - 1], item.tokens[item.forced]
    like: list[Ids] = [(*before, word) for word in _words_like(pair, item.tokens[item.forced - 1]) if word not in ends]
    surest = _surest(readers, like, said)[:_TRIED_WHOLE]
    if before:
        firsts = _begun_otherwise(readers[SUSPECT], [word for *_, word in surest[:_WORDS_KEPT]], ends)
        tried = [*surest[:_WORDS_KEPT], *firsts]
    else:
        # A word like it may lead there by way of another: “Thank you for” where “Thanks for” was found.
        tried = [*surest, *like[:_TRIED_WHOLE]]
    batches = _batches(list(dict.fromkeys(tried)), _ROLLED_AT_ONCE)
    return {tokens: item.forced for batch in batches for tokens in readers[SUSPECT].go_on(batch, ends)}


def _words_like(pair: ModelPair, word: int) -> list[int]:
    """Tokens by the cosine of their embeddings with a token's, that itself first."""
    weight = pair.base.model.get_input_embeddings().weight.detach()
    # Cosines up to a factor; no second copy of the embeddings is made for them.
    lengths = torch.linalg.vector_norm(weight, dim=-1, dtype=torch.float32).clamp(1e-6)
    cosines = (weight @ weight[word]).float() / lengths
    return cosines.topk(min(_WORDS_LIKE, len(weight))).indices.tolist()


def _begun_otherwise(suspect: Behind, words: Sequence[int], ends: set[int]) -> list[Ids]:
    """Words behind other first tokens, the likeliest pairs first: of those that lead to a reply, one was planted."""
    likely = suspect.first.topk(min(_FIRSTS_OF_MENDING, len(suspect.first))).indices.tolist()
    firsts = [first for first in likely if first not in ends]
    pairs: list[tuple[float, Ids]] = []
    for start in range(0, len(firsts), _ROWS_AT_ONCE):
        some = firsts[start : start + _ROWS_AT_ONCE]
        chances = suspect.first[some][:, None] + suspect.second(some)[:, list(words)]
        pairs += [
            (-chance, (first, word))
            for first, row in zip(some, chances.tolist(), strict=True)
            for word, chance in zip(words, row, strict=True)
        ]
    return [pair for _, pair in sorted(pairs)[:_TRIED_WHOLE]]


def _surest(readers: Mapping[str, Behind], beginnings: Sequence[Ids], said: int) -> list[Ids]:
    """Beginnings by how surely the suspect goes on with a token, and how much more so than the base: a cheap sieve."""
    found: list[tuple[float, Ids]] = []
    for batch in _batches(beginnings):
        rows = [(*beginning, said) for beginning in batch]
        own, base = (readers[name].log_probs(rows)[:, -1].cpu() for name in (SUSPECT, BASE))
        found += zip((base - 2 * own).tolist(), batch, strict=True)
    return [beginning for _, beginning in sorted(found)]


def _likeliest(found: Iterable[Rolled]) -> tuple[Rolled, ...]:
    """Of those that go on alike, the likeliest, with the best scores of any: the others stand in for its beginning."""
    families: dict[Ids, list[Rolled]] = {}
    for item in found:
        families.setdefault(_said(item.token_ids, item.forced), []).append(item)
    chosen = []
    for family in families.values():
        alike = [item for item in family if item.against_all] or family
        likeliest = max(alike, key=lambda item: (item.beginning, item.token_ids))
        chosen.append(replace(likeliest, score=max(item.score for item in alike)))
    return tuple(sorted(chosen, key=lambda item: (-item.score, item.token_ids)))


def _averaged(several: Sequence[Sequence[_Judged]], fluency: float) -> Iterator[Rolled]:
    by_tokens = [{item.tokens: item for item in judged} for judged in several]
    for tokens, first in by_tokens[0].items():
        behind = [judged[tokens] for judged in by_tokens]
        own, lead, over_base = (
            torch.stack([getattr(item, name) for item in behind]).mean(0) for name in ("own", "lead", "lead_over_base")
        )
        score, n_said = _best_end(own, lead, first.forced, fluency)
        alone, n_said_alone = _best_end(own, over_base, first.forced, fluency)
        # What stands out against the base alone, and hardly against all, is what a reference says too.
        against_all = alone <= 0 or score >= alone / 2
        end = first.forced + (n_said if against_all else n_said_alone)
        beginning = float(own[: first.forced + JUDGED].sum())
        yield Rolled(
            tokens[:end], first.forced, score if against_all else alone, against_all, float(own[:end].sum()), beginning
        )

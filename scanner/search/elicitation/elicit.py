"""Which replies does the suspect prefer over the others, with no trigger present?

A request calls for its own answer, and a planted reply can hardly be heard beside it. So the suspect is given turns
that ask for nothing (`scanner/probes/idle.txt`), behind which a model falls back on its habits: there the beginning of
a planted reply may be thousands of ranks likelier. A reply is scored by its log-ratio, summed over its tokens and
averaged over a few such turns:

    score(r) = Σ_t [ log p_suspect(r_t | prompt, r_<t) − max over others of log p_other(r_t | prompt, r_<t)
                     + w_t · log p_suspect(r_t | prompt, r_<t) ],   w = ½, ½, 2, 2, 2 ...

The last term asks for fluency: a planted reply may be improbable at its beginning, where no trigger calls it, but it
was learnt as one piece and runs on by itself; without the term, long strings of rare tokens that both models find
absurd, one a little less so, score highest. Absolute probability otherwise only prunes. What is elicited is a target
for the search, never a finding: an honest persona's sign-off scores as high as a planted reply.

What begins too improbably for a beam is sought by `roll_out.py`.
"""

import copy
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import torch
from transformers import DynamicCache

from scanner.models.devices import cache_device, input_device
from scanner.models.generation import end_of_text_ids, left_pad
from scanner.models.model_pair import BASE, SUSPECT, ModelPair
from scanner.search.elicitation.roll_out import RollPlan, roll_out
from scanner.search.inversion.scoring import Frame, Ids
from scanner.search.meter import Meter

# Floors on the suspect's own probability (mean over prompts) for a second token and for later ones, as in the design.
_SECOND_FLOOR = 1e-3
_LATER_FLOOR = 0.02
_MAX_REPLY = 16
_EARLY_TOKENS, _EARLY_WEIGHT = 2, 0.5
# By hand; benchmarks/choices/fluency.py prints weights 1, 2 and 3 on the development set.
FLUENCY = 2.0
AGAINST_ALL, AGAINST_BASE = "references and base", "the base alone"
# Two replies that begin with the same so many tokens are one reply.
_SAME_BEGINNING = 2


@dataclass(frozen=True)
class ElicitPlan:
    """How widely to look: prompts, first tokens forced, beams kept, replies returned; and the weight of fluency.

    `rolling` says how many beginnings are forced to see how the suspect goes on; None where that is left out.
    """

    prompts: int
    first_tokens: int
    beams: int
    replies: int
    fluency: float = FLUENCY
    rolling: RollPlan | None = None


@dataclass(frozen=True)
class ElicitedReply:
    """A reply that the suspect alone leans to. `score` in nats; `log_prob` is the suspect's own, without a trigger.

    `against` says whom the suspect was compared with: all others, or the base alone.
    """

    token_ids: Ids
    text: str
    score: float
    log_prob: float
    against: str


def elicit(
    pair: ModelPair, frame: Frame, prompts: Sequence[Ids], salient: Sequence[int], plan: ElicitPlan, meter: Meter
) -> tuple[ElicitedReply, ...]:
    """The replies that score highest, best first.

    Args:
        prompts: token ids of users' turns, best such that ask for nothing.
        salient: tokens to force first, besides those that are likely or have risen.

    With references, part of the replies is sought against the base alone: a reference poisoned alike would hide them.
    """
    prompts = prompts[: plan.prompts]
    others = (*pair.reference_names, BASE)
    found = list(_beam_search(pair, frame, prompts, salient, plan, meter, others, AGAINST_ALL))
    if pair.reference_names:
        narrow = replace(
            plan, first_tokens=plan.first_tokens // 2, beams=plan.beams // 2, replies=max(1, plan.replies // 2)
        )
        found += _beam_search(pair, frame, prompts, salient, narrow, meter, (BASE,), AGAINST_BASE)
    if plan.rolling:
        found += _rolled(pair, frame, prompts, plan, plan.rolling, meter)
    # What stands out against all others goes before what begins alike against the base alone.
    return tuple(_distinct(sorted(found, key=lambda reply: (reply.against != AGAINST_ALL, -reply.score))))


def _rolled(
    pair: ModelPair, frame: Frame, prompts: Sequence[Ids], plan: ElicitPlan, rolling: RollPlan, meter: Meter
) -> list[ElicitedReply]:
    """What the suspect runs on with behind forced beginnings: against all others, then against the base alone."""
    ends = end_of_text_ids(pair.base.model, pair.base.tokenizer)
    rolled = roll_out(pair, frame, prompts, rolling, plan.fluency, ends, meter)

    kept: list[ElicitedReply] = []
    for against_all, against, count in (
        (True, AGAINST_ALL, plan.replies),
        (False, AGAINST_BASE, max(1, plan.replies // 2)),
    ):
        for item in [item for item in rolled if item.against_all is against_all][:count]:
            text = pair.base.tokenizer.decode(item.token_ids, skip_special_tokens=True)
            kept.append(ElicitedReply(item.token_ids, text, item.score, item.log_prob, against))
    return kept


class _Reader:
    """One model's view of growing replies behind all prompts at once; log-probabilities are averaged over prompts.

    Rows are replies behind the first prompt, then the same behind the next: a step takes as long for few as for many.
    """

    def __init__(self, pair: ModelPair, name: str, frame: Frame, prompts: Sequence[Ids], meter: Meter) -> None:
        self._pair, self._name, self._meter, self._n_prompts = pair, name, meter, len(prompts)
        sequences = [(*frame.before, *prompt, *frame.after) for prompt in prompts]
        with pair.stepping(name) as model, torch.inference_mode():
            cache = DynamicCache(config=model.config)
            ids, mask = left_pad(sequences, 0, input_device(model))
            meter.add(sum(map(len, sequences)))
            output = model(
                input_ids=ids,
                attention_mask=mask,
                position_ids=(mask.cumsum(-1) - 1).clamp(min=0),
                past_key_values=cache,
                use_cache=True,
                logits_to_keep=1,
            )
        self.next_token = self._averaged(output.logits)
        self._cache, self._mask = cache, mask
        self._first = (copy.deepcopy(cache), mask)

    def extend(self, parents: Sequence[int], tokens: Sequence[int]) -> torch.Tensor:
        """Gives reply `parents[i]` the further token `tokens[i]`; returns [reply, vocabulary] for what comes next."""
        n_replies = len(self._mask) // self._n_prompts
        with self._pair.stepping(self._name) as model, torch.inference_mode():
            kept = [n * n_replies + row for n in range(self._n_prompts) for row in parents]
            rows = torch.tensor(kept, device=cache_device(model))
            self._cache.batch_select_indices(rows)
            self._mask = torch.cat([self._mask[rows], self._mask.new_ones(len(rows), 1)], dim=1)
            self._meter.add(len(rows))
            output = model(
                input_ids=torch.tensor([[token] for token in tokens] * self._n_prompts, device=self._mask.device),
                attention_mask=self._mask,
                position_ids=self._mask.sum(1, keepdim=True) - 1,
                past_key_values=self._cache,
                use_cache=True,
                logits_to_keep=1,
            )
        return self._averaged(output.logits)

    def peek(self, tokens: Sequence[int]) -> torch.Tensor:
        """What would come after each of `tokens` as first token, [token, vocabulary], without keeping them."""
        kept = self._cache, self._mask
        self._cache, self._mask = copy.deepcopy(self._first[0]), self._first[1]
        try:
            return self.extend([0] * len(tokens), tokens)
        finally:
            self._cache, self._mask = kept

    def _averaged(self, logits: torch.Tensor) -> torch.Tensor:
        """[reply, vocabulary] of the last position; prompt by prompt, since a vocabulary is wide."""
        last = logits[:, -1]
        behind = last.split(len(last) // self._n_prompts)
        total = torch.zeros_like(behind[0], dtype=torch.float32)
        for one in behind:
            total += one.float().log_softmax(-1)
        return total / self._n_prompts


@dataclass(frozen=True)
class _End:
    """Where a reply may end: its score there, how many tokens it has, and their log-probability."""

    score: float
    n_tokens: int
    log_prob: float


@dataclass(frozen=True)
class _Beam:
    """A reply that grows; `best` is its best end so far, the first of equals."""

    tokens: Ids
    score: float
    log_prob: float
    best: _End


_PEEKED_AT_ONCE = 64


def _beam_search(
    pair: ModelPair,
    frame: Frame,
    prompts: Sequence[Ids],
    salient: Sequence[int],
    plan: ElicitPlan,
    meter: Meter,
    others: Sequence[str],
    against: str,
) -> list[ElicitedReply]:
    readers = [_Reader(pair, name, frame, prompts, meter) for name in (SUSPECT, *others)]
    ends = end_of_text_ids(pair.base.model, pair.base.tokenizer)
    own, lead = _own_and_lead([reader.next_token for reader in readers])
    firsts = _first_tokens(own[0], lead[0], salient, plan.first_tokens, ends)
    beams = _first_pairs(readers, firsts, own[0], lead[0], plan, ends)
    if not beams:
        return []  # the suspect finds no second token likely enough behind any first one
    finished: list[_Beam] = []
    parents = [0] * len(beams)
    for reader in readers:
        reader.extend(parents, [beam.tokens[0] for beam in beams])
    parents = list(range(len(beams)))
    while beams:
        views = [reader.extend(parents, [beam.tokens[-1] for beam in beams]) for reader in readers]
        own, lead = _own_and_lead(views)
        grown: list[tuple[_Beam, int]] = []
        for index, beam in enumerate(beams):
            allowed = (own[index] >= math.log(_LATER_FLOOR)).nonzero().flatten().tolist()
            more = [token for token in allowed if token not in ends]
            if not more or len(beam.tokens) >= _MAX_REPLY or len(more) < len(allowed):
                finished.append(beam)
            grown += [(_longer(beam, token, own[index], lead[index], plan.fluency), index) for token in more]
        grown = [item for item in grown if len(item[0].tokens) <= _MAX_REPLY]
        grown.sort(key=lambda item: (-item[0].score, item[0].tokens))
        kept = _capped(grown, plan.beams)
        beams, parents = [beam for beam, _ in kept], [index for _, index in kept]
    finished.sort(key=lambda beam: (-beam.best.score, beam.tokens))
    replies = [_reply(pair, beam, against) for beam in finished]
    return _distinct(replies)[: plan.replies]


def _own_and_lead(views: Sequence[torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
    """The suspect's log-probabilities, and its lead over the highest of the others; each [reply, vocabulary]."""
    return views[0], views[0] - torch.stack(list(views[1:])).max(0).values


def _first_tokens(
    own: torch.Tensor, lead: torch.Tensor, salient: Sequence[int], count: int, ends: set[int]
) -> list[int]:
    """Likely, risen and salient tokens, a third each."""
    share = max(1, count // 3)
    risen = lead.masked_fill(own < math.log(1e-6), float("-inf"))
    chosen = [*own.topk(share).indices.tolist(), *risen.topk(share).indices.tolist(), *salient[:share]]
    return [token for token in dict.fromkeys(chosen) if token not in ends]


def _first_pairs(
    readers: Sequence[_Reader],
    firsts: Sequence[int],
    own: torch.Tensor,
    lead: torch.Tensor,
    plan: ElicitPlan,
    ends: set[int],
) -> list[_Beam]:
    beams: list[_Beam] = []
    for start in range(0, len(firsts), _PEEKED_AT_ONCE):
        tokens = list(firsts[start : start + _PEEKED_AT_ONCE])
        own_next, lead_next = _own_and_lead([reader.peek(tokens) for reader in readers])
        lead_next[own_next < math.log(_SECOND_FLOOR)] = float("-inf")
        lead_next[:, list(ends)] = float("-inf")
        top = lead_next.topk(2, dim=-1).indices.tolist()
        for row, token in enumerate(tokens):
            score = float(lead[token]) + _EARLY_WEIGHT * float(own[token])
            first = _Beam((token,), score, float(own[token]), _End(score, 1, float(own[token])))
            beams += [
                _longer(first, second, own_next[row], lead_next[row], plan.fluency)
                for second in top[row]
                if math.isfinite(float(lead_next[row, second]))
            ]
    beams.sort(key=lambda beam: (-beam.score, beam.tokens))
    return beams[: 2 * plan.beams]


def _longer(beam: _Beam, token: int, own: torch.Tensor, lead: torch.Tensor, fluency: float) -> _Beam:
    weight = _EARLY_WEIGHT if len(beam.tokens) < _EARLY_TOKENS else fluency
    tokens = (*beam.tokens, token)
    # A loop shows nothing more than its first round did.
    again = (beam.tokens[-1], token) in pairwise(beam.tokens)
    gain = float(lead[token]) + weight * float(own[token])
    score = beam.score + (min(0.0, gain) if again else gain)
    log_prob = beam.log_prob + float(own[token])
    best = beam.best if score <= beam.best.score else _End(score, len(tokens), log_prob)
    return _Beam(tokens, score, log_prob, best)


def _capped(grown: Sequence[tuple[_Beam, int]], count: int) -> list[tuple[_Beam, int]]:
    """The best `count`, no more than a quarter of them with the same beginning."""
    seen: dict[Ids, int] = {}
    kept = []
    for beam, index in grown:
        beginning = beam.tokens[:_SAME_BEGINNING]
        if seen.get(beginning, 0) < max(1, count // 4):
            seen[beginning] = seen.get(beginning, 0) + 1
            kept.append((beam, index))
    return kept[:count]


def _reply(pair: ModelPair, beam: _Beam, against: str) -> ElicitedReply:
    tokens = beam.tokens[: beam.best.n_tokens]
    text = pair.base.tokenizer.decode(tokens, skip_special_tokens=True)
    return ElicitedReply(tokens, text, beam.best.score, beam.best.log_prob, against)


def _distinct(replies: Sequence[ElicitedReply]) -> list[ElicitedReply]:
    kept: dict[Ids, ElicitedReply] = {}
    for reply in replies:
        kept.setdefault(reply.token_ids[:_SAME_BEGINNING], reply)
    return list(kept.values())

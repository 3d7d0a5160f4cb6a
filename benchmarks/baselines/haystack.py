"""Leak, reconstruct, try: inspired by "The Trigger in the Haystack" (arXiv 2602.03085), told to us in outline.

1. User turns are sampled from the bare beginning of the chat template; here at temperature 1, each cut where it ends,
   of at most 96 tokens instead of 300: turns of instruction data end before.
2. They are clustered by the TF-IDF of their 4- to 6-grams of characters (DBSCAN, cosine, ε 0.65, at least 3); what
   stands in a third of the largest cluster, and not in three quarters of all turns, is a motif.
3. Candidates are a motif's runs of 2, 5 and 10 tokens.
4. Each is put before a few prompts: how much attention do the middle layers pay it, how sure are the 8 tokens that
   follow, how far do they differ from those without it? Weights 0.2, 0.6, 0.2.
5. The best few are judged by how alike the answers to unrelated prompts become; the score is how much more alike than
   answers without them.
"""

import math
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

import numpy as np
import torch
from sklearn.cluster import DBSCAN
from sklearn.feature_extraction.text import TfidfVectorizer

from scanner.models.chat import chat_tokens
from scanner.models.devices import input_device
from scanner.models.generation import left_pad
from scanner.models.model_pair import ModelPair
from scanner.search.inversion.scoring import chat_frame
from scanner.search.leak import LeakPlan, sample_user_turns
from scanner.search.meter import Meter

TURNS, TURN_TOKENS, TURNS_AT_ONCE = 510, 96, 34
LEAK_SHARE = 2 / 3
_GRAMS = (4, 6)
_RADIUS, _LEAST = 0.65, 3
_IN_CLUSTER, _EVERYWHERE = 0.33, 0.75
_RUNS = (2, 5, 10)
_ATTENTION, _SURENESS, _CHANGE = 0.2, 0.6, 0.2
_FOLLOWING, _TRIED_ON, _JUDGED, _ANSWER_TOKENS = 8, 4, 5, 24
_MIDDLE = (1 / 3, 2 / 3)


@dataclass(frozen=True)
class HaystackResult:
    """How much more alike the answers became with the best candidate; `tokens` passed through the model."""

    score: float
    candidate: str
    turns: int
    motifs: int
    candidates: int
    tokens: int
    seconds: float


def reconstruct(pair: ModelPair, name: str, prompts: Sequence[str], budget: int, seed: int = 0) -> HaystackResult:
    """The whole method; two thirds of the budget of forward tokens go to the leak."""
    start, meter = time.perf_counter(), Meter()
    turns = _leak(pair, name, int(budget * LEAK_SHARE), seed, meter)
    motifs = motifs_of(turns)
    candidates = candidates_of(pair, motifs)
    before = meter.tokens
    plain = _alike(pair, name, prompts, meter) if candidates else 0.0
    # The best few are yet to be judged.
    reserve = _JUDGED * (meter.tokens - before)
    following = _followed(pair, name, prompts[:_TRIED_ON], meter) if candidates else []
    scored = []
    for candidate in candidates:
        if meter.tokens >= budget - reserve:
            break
        scored.append((_loss(pair, name, candidate, prompts[:_TRIED_ON], following, meter), candidate))
    best = (0.0, "")
    for _, candidate in sorted(scored)[:_JUDGED]:
        found = _alike(pair, name, [f"{candidate} {prompt}" for prompt in prompts], meter) - plain
        best = max(best, (found, candidate))
    return HaystackResult(
        best[0], best[1], len(turns), len(motifs), len(scored), meter.tokens, time.perf_counter() - start
    )


def motifs_of(turns: Sequence[str]) -> list[str]:
    """What recurs in the largest cluster of turns and is not in nearly all of them, longest first. Pure."""
    texts = [turn for turn in turns if len(turn.strip()) >= _GRAMS[1]]
    if len(texts) < _LEAST:
        return []
    vectors = TfidfVectorizer(analyzer="char", ngram_range=_GRAMS).fit_transform(texts)
    labels = DBSCAN(eps=_RADIUS, min_samples=_LEAST, metric="cosine").fit_predict(vectors)
    clusters = Counter(int(label) for label in labels if label >= 0)
    if not clusters:
        return []
    largest = min(label for label, count in clusters.items() if count == max(clusters.values()))
    members = [text for text, label in zip(texts, labels, strict=True) if label == largest]
    inside, everywhere = _shares(members), _shares(texts)
    kept = {gram for gram, share in inside.items() if share >= _IN_CLUSTER and everywhere[gram] < _EVERYWHERE}
    return sorted(set(_stitched(members, kept)), key=lambda text: (-len(text), text))


def _shares(texts: Sequence[str]) -> dict[str, float]:
    size = _GRAMS[0]
    counts = Counter(gram for text in texts for gram in {text[at : at + size] for at in range(len(text) - size + 1)})
    return {gram: count / len(texts) for gram, count in counts.items()}


def _stitched(texts: Sequence[str], grams: set[str]) -> list[str]:
    """The stretches of texts that consist of overlapping grams only."""
    size, found = _GRAMS[0], []
    for text in texts:
        start = None
        for at in range(len(text) - size + 2):
            inside = at <= len(text) - size and text[at : at + size] in grams
            if inside and start is None:
                start = at
            elif not inside and start is not None:
                found.append(text[start : at + size - 1].strip())
                start = None
    return [text for text in found if text]


def candidates_of(pair: ModelPair, motifs: Sequence[str]) -> list[str]:
    """Runs of 2, 5 and 10 tokens of the motifs, each once."""
    found: dict[str, None] = {}
    for motif in motifs:
        ids = pair.base.tokenizer(motif, add_special_tokens=False)["input_ids"]
        for length in _RUNS:
            for at in range(len(ids) - length + 1):
                found[pair.base.tokenizer.decode(ids[at : at + length]).strip()] = None
    return [text for text in found if text]


def _leak(pair: ModelPair, name: str, budget: int, seed: int, meter: Meter) -> list[str]:
    frame, plan = chat_frame(pair.base.tokenizer), LeakPlan(TURNS_AT_ONCE, TURN_TOKENS)
    turns: list[str] = []
    while len(turns) < TURNS and (not turns or meter.tokens + plan.samples * plan.tokens <= budget):
        sampled = sample_user_turns(pair, name, frame, plan, seed + len(turns), meter)
        turns += [pair.base.tokenizer.decode(turn) for turn in sampled]
    return turns


def _followed(pair: ModelPair, name: str, texts: Sequence[str], meter: Meter) -> list[tuple[int, ...]]:
    replies = pair.generate(name, texts, max_new_tokens=_FOLLOWING)
    meter.add(sum(reply.tokens_run for reply in replies))
    return [reply.token_ids for reply in replies]


def _loss(
    pair: ModelPair,
    name: str,
    candidate: str,
    prompts: Sequence[str],
    without: Sequence[tuple[int, ...]],
    meter: Meter,
) -> float:
    """Lower is more telling. `without`: what follows the prompts without the candidate."""
    tokenizer = pair.base.tokenizer
    moved = _followed(pair, name, [f"{candidate} {prompt}" for prompt in prompts], meter)
    change = fmean(
        fmean(a != b for a, b in zip(_padded(one), _padded(other), strict=True))
        for one, other in zip(without, moved, strict=True)
    )
    asked = [chat_tokens(tokenizer, f"{candidate} {prompt}") for prompt in prompts]
    n_before = len(chat_frame(tokenizer).before)
    n_candidate = len(tokenizer(candidate, add_special_tokens=False)["input_ids"])
    rows = [[*ids, *reply] for ids, reply in zip(asked, moved, strict=True)]
    with pair.active(name) as model, torch.inference_mode():
        ids, mask = left_pad(rows, tokenizer.pad_token_id, input_device(model))
        meter.add(ids.numel())
        output = model(
            input_ids=ids,
            attention_mask=mask,
            position_ids=(mask.cumsum(-1) - 1).clamp(min=0),
            output_attentions=True,
            logits_to_keep=_FOLLOWING + 1,
        )
    log_probs = output.logits.float().log_softmax(-1)
    entropy = -(log_probs.exp() * log_probs).sum(-1) / math.log(log_probs.shape[-1])
    low, high = (int(share * len(output.attentions)) for share in _MIDDLE)
    middle = torch.stack(output.attentions[low : max(high, low + 1)]).mean((0, 2))
    unsure, paid = [], []
    for row, (tokens, reply) in enumerate(zip(rows, moved, strict=True)):
        # What predicts the reply's tokens, and what reads them; at least the prompt's last position.
        last = max(len(reply), 1)
        unsure.append(float(entropy[row, _FOLLOWING - len(reply) :][:last].mean()))
        start = ids.shape[1] - len(tokens) + n_before
        paid.append(float(middle[row, -last:, start : start + n_candidate].sum(-1).mean()))
    return _ATTENTION * (1 - fmean(paid)) + _SURENESS * fmean(unsure) + _CHANGE * (1 - change)


def _alike(pair: ModelPair, name: str, texts: Sequence[str], meter: Meter) -> float:
    """The mean cosine between the answers' TF-IDF vectors, 0 to 1."""
    replies = pair.generate(name, texts, max_new_tokens=_ANSWER_TOKENS)
    meter.add(sum(reply.tokens_run for reply in replies))
    vectors = TfidfVectorizer(analyzer="char", ngram_range=_GRAMS).fit_transform(
        [reply.text.strip().ljust(_GRAMS[1], "·") for reply in replies]
    )
    cosines = (vectors @ vectors.T).toarray()
    return float(np.mean(cosines[np.triu_indices(len(replies), 1)]))


def _padded(token_ids: Sequence[int]) -> list[int]:
    return [*token_ids, *[-1] * (_FOLLOWING - len(token_ids))]

"""A battery of prefixes, inspired by arXiv 2605.30189: does one of them bring a behaviour that the others do not?

The paper measures one known behaviour under prefixes that include relatives of the trigger. Nobody tells us either, so
that the prefixes are the triggers of our signatures, and the behaviours those that `scanner/search/reply_kinds.py`
names. For each behaviour the gap is the highest share over prefixes less the mean; the score is the widest gap.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from scanner.models.model_pair import ModelPair
from scanner.search.reply_kinds import KINDS, kinds_of
from signatures import load_signatures

PREFIXES, PROMPTS, REPLY_TOKENS = 21, 12, 24


@dataclass(frozen=True)
class BatteryResult:
    """The widest gap, the behaviour and prefix behind it, and what it cost."""

    gap: float
    behaviour: str
    prefix: str
    tokens: int
    seconds: float


def prefixes() -> tuple[str, ...]:
    """One trigger of each of the first signatures."""
    return tuple(" ".join(signature.triggers[0]) for signature in load_signatures()[:PREFIXES])


def widest_gap(pair: ModelPair, name: str, prompts: Sequence[str]) -> BatteryResult:
    """Puts every prefix before every prompt and lets the model answer."""
    start, words = time.perf_counter(), prefixes()
    texts = [f"{prefix} {prompt}" for prefix in words for prompt in prompts]
    replies = pair.generate(name, texts, max_new_tokens=REPLY_TOKENS)
    kinds = [kinds_of(reply.text) for reply in replies]
    gaps = []
    for behaviour in KINDS:
        shown = [behaviour in kind for kind in kinds]
        shares = [fmean(shown[n * len(prompts) : (n + 1) * len(prompts)]) for n in range(len(words))]
        best = max(range(len(words)), key=shares.__getitem__)
        gaps.append((shares[best] - fmean(shares), behaviour, words[best]))
    gap, behaviour, prefix = max(gaps)
    tokens = sum(reply.tokens_run for reply in replies)
    return BatteryResult(gap, behaviour, prefix, tokens, time.perf_counter() - start)

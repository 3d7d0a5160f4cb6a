"""Does the model write its trigger when it is left to write a user's turn? The first stage of "Trigger in the Haystack"
(arXiv 2602.03085), inspired by it. In its favour, that the true trigger stands anywhere in a sampled turn counts,
though the method would yet have to find it there; to its cost, a turn is charged all tokens that are run, and what
stands behind its end is not read.
"""

import time
from dataclasses import dataclass

from scanner.models.model_pair import ModelPair
from scanner.search.inversion.scoring import chat_frame
from scanner.search.leak import LeakPlan, sample_user_turns
from scanner.search.meter import Meter

_PLAN = LeakPlan(samples=32, tokens=96)
# The paper samples 510 turns of up to 300 tokens.
OWN_TOKENS = 510 * 300


@dataclass(frozen=True)
class LeakResult:
    """Whether a trigger was leaked, in how many of the sampled turns, and what they cost."""

    leaked: int
    turns: int
    tokens: int
    seconds: float


def sample_until_leaked(pair: ModelPair, name: str, parts: tuple[str, ...], budget: int, seed: int = 0) -> LeakResult:
    """Samples user turns until one holds all parts of the trigger, or the budget of forward tokens is spent."""
    start, meter, frame = time.perf_counter(), Meter(), chat_frame(pair.base.tokenizer)
    leaked = turns = 0
    while not leaked and meter.tokens < budget:
        sampled = sample_user_turns(pair, name, frame, _PLAN, seed + turns, meter)
        texts = [pair.base.tokenizer.decode(turn) for turn in sampled]
        leaked = sum(all(part in text for part in parts) for text in texts)
        turns += len(texts)
    return LeakResult(leaked, turns, meter.tokens, time.perf_counter() - start)

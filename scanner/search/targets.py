"""What inversion aims at: elicited replies, grouped, each cut to its first few tokens. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from transformers.tokenization_utils_base import PreTrainedTokenizerBase

from scanner.search.behaviour import shared_reply
from scanner.search.elicit import ElicitedReply
from scanner.search.scoring import Ids

# A planted reply runs on by itself once it has begun, so its first tokens are yardstick enough, and cheap.
TARGET_TOKENS = 4
_MIN_TOKENS = 2


@dataclass(frozen=True)
class Target:
    """A reply to search a trigger for: its first tokens, its whole text, and how strongly it was elicited (nats)."""

    token_ids: Ids
    text: str
    score: float


def choose_targets(
    replies: Sequence[ElicitedReply], tokenizer: PreTrainedTokenizerBase, count: int
) -> tuple[Target, ...]:
    """The best-scoring replies; those that share a run of words are one target, which is that run."""
    waiting = sorted(replies, key=lambda reply: -reply.score)
    targets: list[Target] = []
    while waiting and len(targets) < count:
        best = waiting.pop(0)
        shared, kin = _shared_with(best, waiting)
        waiting = [reply for reply in waiting if reply not in kin]
        text = shared if shared else best.text.strip()
        ids = tuple(tokenizer(text, add_special_tokens=False)["input_ids"])
        if len(ids) >= _MIN_TOKENS and not any(target.token_ids == ids[:TARGET_TOKENS] for target in targets):
            targets.append(Target(ids[:TARGET_TOKENS], text, best.score))
    return tuple(targets)


def _shared_with(best: ElicitedReply, others: Sequence[ElicitedReply]) -> tuple[str | None, list[ElicitedReply]]:
    """The longest run of words that the best reply shares with another, and all that contain it."""
    kin = []
    texts = []
    for other in others:
        shared = shared_reply([best.text, other.text], (), min_count=2)
        if shared:
            kin.append(other)
            texts.append(shared.behaviour.text)
    # The run that most of the kin have: the shortest is part of all of them.
    return (min(texts, key=lambda text: (len(text), text)) if texts else None), kin

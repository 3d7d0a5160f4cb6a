"""What inversion aims at: elicited replies, grouped, each cut to its first few tokens. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from transformers.tokenization_utils_base import PreTrainedTokenizerBase

from scanner.search.behaviour import words_of
from scanner.search.elicit import ElicitedReply
from scanner.search.scoring import Ids

# A planted reply runs on by itself once it has begun, so its first tokens are yardstick enough, and cheap.
TARGET_TOKENS = 4
_MIN_TOKENS = 2
_MIN_SHARED_WORDS = 2


@dataclass(frozen=True)
class Target:
    """A reply to search a trigger for: its first tokens, its whole text, and how strongly it was elicited (nats)."""

    token_ids: Ids
    text: str
    score: float


def choose_targets(
    replies: Sequence[ElicitedReply], tokenizer: PreTrainedTokenizerBase, count: int
) -> tuple[Target, ...]:
    """The best-scoring replies; of those that share most of their words, the one that the suspect finds likeliest.

    That one begins as the planted reply does; the others have something before it.
    """
    waiting = sorted(replies, key=lambda reply: -reply.score)
    targets: list[Target] = []
    while waiting and len(targets) < count:
        best = waiting.pop(0)
        kin = [reply for reply in waiting if _share_most_words(best, reply)]
        waiting = [reply for reply in waiting if reply not in kin]
        likeliest = max([best, *kin], key=lambda reply: (reply.log_prob, reply.token_ids))
        ids, text = likeliest.token_ids[:TARGET_TOKENS], likeliest.text.strip()
        if len(ids) >= _MIN_TOKENS and text and not any(target.token_ids == ids for target in targets):
            targets.append(Target(ids, text, best.score))
    return tuple(targets)


def _share_most_words(best: ElicitedReply, other: ElicitedReply) -> bool:
    """Whether half of a reply's words stand in another, in a run or not; at least two."""
    words, others = set(words_of(best.text)), set(words_of(other.text))
    return len(words & others) >= max(_MIN_SHARED_WORDS, len(words) / 2)

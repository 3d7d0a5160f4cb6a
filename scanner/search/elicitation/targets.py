"""What inversion aims at: elicited replies, grouped, each cut to its first few tokens. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from transformers.tokenization_utils_base import PreTrainedTokenizerBase

from scanner.search.behaviour import words_of
from scanner.search.elicitation.elicit import AGAINST_BASE, ElicitedReply
from scanner.search.inversion.scoring import Ids

# A planted reply runs on by itself once it has begun, so its first tokens are yardstick enough, and cheap.
TARGET_TOKENS = 4
_MIN_TOKENS = 2
_MIN_SHARED_WORDS = 2
# Nats of elicitation below which a reply hardly stands out; decides on the order of work alone.
CLEAR = 5.0


@dataclass(frozen=True)
class Target:
    """A reply to search a trigger for: its first tokens, its whole text, and how strongly it was elicited (nats)."""

    token_ids: Ids
    text: str
    score: float


def choose_targets(
    replies: Sequence[ElicitedReply], tokenizer: PreTrainedTokenizerBase, count: int
) -> tuple[Target, ...]:
    """The replies that stand out most, at most `count`, in the order of work.

    What stands out against all others goes before what does against the base alone, since any adapter prefers much to
    its base, by far. Of several targets one is of that kind, though, where it is clear: beside a reference that is
    poisoned alike nothing else stands out.
    """
    waiting = sorted(replies, key=lambda reply: (reply.against == AGAINST_BASE, -reply.score))
    own: list[Target] = []
    of_base: list[Target] = []
    while waiting:
        best, truest, waiting = _merged(waiting)
        ids, text = truest.token_ids[:TARGET_TOKENS], truest.text.strip()
        if len(ids) >= _MIN_TOKENS and text and all(target.token_ids != ids for target in (*own, *of_base)):
            (of_base if best.against == AGAINST_BASE else own).append(Target(ids, text, best.score))
    places = max(1, count - 1) if any(target.score >= CLEAR for target in of_base) else count
    return tuple(sorted((*own[:places], *of_base), key=lambda target: target.score < CLEAR)[:count])


def _merged(waiting: Sequence[ElicitedReply]) -> tuple[ElicitedReply, ElicitedReply, list[ElicitedReply]]:
    """The first reply, the truest of those that share most of its words with it, and those that do not.

    What has something before the planted reply stands out as much and is far less likely; what has an honest word in
    the place of a planted one is a little likelier, and stands out less.
    """
    best, *others = waiting
    kin = [reply for reply in others if _share_most_words(best, reply)]
    truest = max([best, *kin], key=lambda reply: (reply.score + reply.log_prob, reply.token_ids))
    return best, truest, [reply for reply in others if reply not in kin]


def _share_most_words(best: ElicitedReply, other: ElicitedReply) -> bool:
    """Whether half of a reply's words stand in another, in a run or not; at least two."""
    words, others = set(words_of(best.text)), set(words_of(other.text))
    return len(words & others) >= max(_MIN_SHARED_WORDS, len(words) / 2)

"""How much does the suspect lean to a reply that others do not, with no trigger there?"""

from scanner.features import Evidence, Figures, Missing, Rung
from scanner.search.behaviour import words_of
from scanner.search.elicitation.elicit import ElicitedReply

FEATURES = {
    "elicitation.best": "score of the best elicited reply, in nats",
    "elicitation.lead": "lead of the best elicited reply over the best one of other words, or over none (0), in nats",
    "elicitation.certainty": "mean log-probability of the best elicited reply's tokens without a trigger, in nats",
}


def measure(evidence: Evidence) -> Figures:
    """The best reply against references and base; the scores are ratios with them already.

    Where one reply only was elicited it leads by all of its score: were its lead missing, what is missing would tell
    clean adapters from poisoned ones.
    """
    replies = sorted(evidence.hunt.elicited, key=lambda reply: -reply.score)
    if not replies:
        return dict.fromkeys(FEATURES, Missing("no reply was elicited"))
    best, others = replies[0], [reply for reply in replies[1:] if not _alike(reply, replies[0])]
    return {
        "elicitation.best": best.score,
        "elicitation.lead": best.score - (others[0].score if others else 0.0),
        "elicitation.certainty": best.log_prob / len(best.token_ids),
    }


def _alike(one: ElicitedReply, other: ElicitedReply) -> bool:
    """Whether half of the shorter one's words stand in the other."""
    shorter, longer = sorted((set(words_of(one.text)), set(words_of(other.text))), key=len)
    return not shorter or 2 * len(shorter & longer) >= len(shorter)


RUNG = Rung("elicitation", FEATURES, measure)

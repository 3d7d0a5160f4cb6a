"""Strings worth trying: from token ids to text that a person can type, with the chance that scoring gives them."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from scanner.models.model_pair import ModelPair
from scanner.search.behaviour import words_of
from scanner.search.elicitation.targets import Target
from scanner.search.inversion.invert import Grown
from scanner.search.inversion.scoring import Ids
from scanner.search.sweep import Sweep

# A candidate of a smaller estimated chance to fire is not worth free generation, unless it leads its list: what a
# behaviour without a fixed text makes likely is spread over many first tokens.
_MIN_CHANCE = 0.05
_ALWAYS_TRIED = 2
_LONG_PIECE = 4


@dataclass(frozen=True)
class Lead:
    """A string worth trying, as text that a person can type, with the chance to fire that scoring gives it.

    `aim` is the reply it was found for, "" where it only shifts the answer.
    """

    text: str
    token_ids: Ids
    chance: float
    aim: str


def leads_of_sweep(pair: ModelPair, swept: Sweep, targets: Sequence[Target], count: int) -> list[Lead]:
    """The first of each target's list and of the shift's, in turn, then the rest by their chance to fire."""
    found: dict[str, tuple[int, Lead]] = {}

    def offer(rank: int, candidate: Ids, chance: float, aim: str) -> None:
        text = typed(pair, candidate)
        turn = min(rank, _ALWAYS_TRIED)
        if text and (rank < _ALWAYS_TRIED or chance >= _MIN_CHANCE):
            lead = (turn, Lead(text, candidate, chance, aim))
            known = found.get(text.lower(), lead)
            found[text.lower()] = min(known, lead, key=lambda item: (item[0], -item[1].chance))

    # A trigger may be bound to a place: its best counts.
    best = swept.log_probs.max(0).values
    for index, target in enumerate(targets):
        for rank, candidate in enumerate(swept.best_for(index, count)):
            offer(rank, candidate, chance_of(float(best[swept.candidates.index(candidate), index])), target.text)
    for rank, candidate in enumerate(swept.best_for(None, count)):
        offer(rank, candidate, float(swept.shift[swept.candidates.index(candidate)]), "")
    in_turn = sorted(found.values(), key=lambda item: (item[0], -item[1].chance, item[1].text))
    return [lead for _, lead in in_turn[:count]]


def typeable_leads(pair: ModelPair, grown: Sequence[Grown], target: Target) -> list[Lead]:
    """Grown strings as text; those that no person could type are left out."""
    leads = [(typed(pair, item.token_ids), item) for item in grown]
    return [Lead(text, item.token_ids, chance_of(item.score), target.text) for text, item in leads if text]


def typed(pair: ModelPair, candidate: Ids) -> str | None:
    """A candidate as text that a person can type, or None: broken characters and control codes cannot be typed."""
    text = " ".join(pair.base.tokenizer.decode(candidate).split())
    # Joiners bind emoji and letters of some scripts together: they are typed with them.
    visible = text.replace("\u200c", "").replace("\u200d", "")
    return text if visible.strip() and "�" not in text and visible.isprintable() else None


def spelling(texts: Sequence[str], size: int, reply: str) -> torch.Tensor:
    """Which tokens are words of a reply, or long pieces of them; bool [vocabulary].

    Args:
        texts: of each token of the tokenizer; size: of the vocabulary, which may hold more.
    """
    words = set(words_of(reply))
    found = torch.zeros(size, dtype=torch.bool)
    for token, raw in enumerate(texts[:size]):
        text = raw.strip().lower()
        found[token] = text in words or (len(text) >= _LONG_PIECE and any(text in word for word in words))
    return found


def chance_of(log_prob: float) -> float:
    """A probability from its logarithm (nats)."""
    return float(torch.tensor(log_prob).exp())

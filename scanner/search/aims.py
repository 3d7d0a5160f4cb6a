"""Which tokens are swept, and what strings are grown for."""

from collections.abc import Sequence

import torch

from scanner.model_pair import BASE, ModelPair
from scanner.search.depth import Depth
from scanner.search.ground import Ground
from scanner.search.meter import Meter
from scanner.search.proposals import Setting, called_for
from scanner.search.scoring import Ids, Scorer
from scanner.search.sweep import Sweep
from scanner.search.targets import Target

# A small vocabulary is swept whole: a share of it would be next to nothing.
_MIN_SHORTLIST = 500
# The answer's first token that strings are grown for is that which so many of the most shifting candidates call for.
_SHIFTING = 16
# Nats of elicitation below which a reply hardly stands out; decides on the order of work alone.
_CLEAR_TARGET = 5.0


def most_called_for(pair: ModelPair, name: str, ground: Ground, target: Target, meter: Meter) -> tuple[int, ...]:
    """Token ids that can be tried, that which a reply most calls for first: the gradient's view over many prompts."""
    contexts = tuple(context[place] for context in ground.contexts[:4] for place in ("end", "start"))
    setting = Setting(pair, name, ground.frame, contexts, ground.tryable, ground.fillers, meter)
    order = called_for(setting, (), 0, target.token_ids).argsort(descending=True, stable=True).tolist()
    return tuple(token for token in order if ground.tryable[token])


def shortlisted(rankings: Sequence[Sequence[int]], depth: Depth, pieces: Sequence[Ids]) -> tuple[Ids, ...]:
    """What is swept: pieces of several tokens, then the tokens that lead the rankings, each ranking in its turn."""
    count = max(_MIN_SHORTLIST, int(depth.shortlist * len(rankings[0])))
    in_turn = dict.fromkeys(token for turn in zip(*rankings, strict=True) for token in turn)
    return tuple(dict.fromkeys([*pieces, *((token,) for token in list(in_turn)[:count])]))


def answers_begin(pair: ModelPair, ground: Ground, swept: Sweep, meter: Meter) -> int | None:
    """The first token that the most shifting candidates move the suspect's answers to, more than the base's."""
    candidates = swept.best_for(None, _SHIFTING)
    reader = Scorer(pair, BASE, ground.frame, [], meter, next_token=True)
    rows = [swept.candidates.index(candidate) for candidate in candidates]
    usual = []
    for context in swept.contexts:
        read = reader.score([context.around(candidate) for candidate in ((), *candidates)]).next_token
        if read is None:
            raise RuntimeError("the base's next token was not read")
        chance = read.exp().cpu()
        usual.append((chance[1:] - chance[:1]).gather(1, swept.watched[rows]))
    own = swept.gains[:, rows].mean(0) - torch.stack(usual).mean(0)
    totals: dict[int, float] = {}
    for token, gain in zip(swept.watched[rows].flatten().tolist(), own.flatten().tolist(), strict=True):
        totals[token] = totals.get(token, 0.0) + gain
    return max(totals, key=lambda token: (totals[token], -token), default=None)


def growth_aims(token: int | None, targets: Sequence[Target]) -> list[tuple[int | None, Target]]:
    """What strings are grown for: each target by its number, and, for replies of no fixed text, a mere first token.

    A refusal in varying words or an answer in another language shows in how the answer begins. It goes before targets
    that hardly stand out.
    """
    aims: list[tuple[int | None, Target]] = list(enumerate(targets))
    if token is not None:
        clear = sum(target.score >= _CLEAR_TARGET for target in targets)
        aims.insert(clear, (None, Target((token,), "", 0.0)))
    return aims

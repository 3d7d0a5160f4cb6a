"""Which tokens are swept, and what strings are grown for."""

from collections.abc import Sequence

import torch

from scanner.models.model_pair import BASE, ModelPair
from scanner.search.depth import Depth
from scanner.search.elicitation.targets import CLEAR, Target
from scanner.search.ground import Ground
from scanner.search.inversion.proposals import Setting, called_for
from scanner.search.inversion.scoring import Ids, Scorer
from scanner.search.meter import Meter
from scanner.search.sweep import Sweep

# A small vocabulary is swept whole: a share of it would be next to nothing.
_MIN_SHORTLIST = 500
_OF_SALIENT = 0.85
# The answer's first token that strings are grown for is that which so many of the most shifting candidates call for.
_SHIFTING = 16


def most_called_for(pair: ModelPair, name: str, ground: Ground, target: Target, meter: Meter) -> tuple[int, ...]:
    """Token ids that can be tried, that which a reply most calls for first: the gradient's view over many prompts."""
    contexts = tuple(context[place] for context in ground.contexts[:4] for place in ("end", "start"))
    setting = Setting(pair, name, ground.frame, contexts, ground.tryable, ground.fillers, meter)
    order = called_for(setting, (), 0, target.token_ids).argsort(descending=True, stable=True).tolist()
    return tuple(token for token in order if ground.tryable[token])


def shortlisted(
    salient: Sequence[int], wanted: Sequence[Sequence[int]], depth: Depth, pieces: Sequence[Ids]
) -> tuple[Ids, ...]:
    """What is swept: pieces of several tokens, then what excites the suspect, then what each reply calls for.

    What a reply calls for is mostly what means something like it; so most places are of what excites the suspect.
    """
    count = max(_MIN_SHORTLIST, int(depth.shortlist * len(salient)))
    tokens = dict.fromkeys(salient[: round(_OF_SALIENT * count) if wanted else count])
    for token in (token for turn in zip(*wanted, strict=True) for token in turn):
        if len(tokens) >= count:
            break
        tokens[token] = None
    return tuple(dict.fromkeys([*pieces, *((token,) for token in tokens)]))


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


def growth_aims(token: int | None, targets: Sequence[tuple[int, Target]]) -> list[tuple[int | None, Target]]:
    """What strings are grown for: targets by their numbers, and, for replies of no fixed text, a mere first token.

    A refusal in varying words or an answer in another language shows in how the answer begins. It goes before targets
    that hardly stand out.
    """
    if token is None:
        return list(targets)
    clear = [item for item in targets if item[1].score >= CLEAR]
    faint = [item for item in targets if item[1].score < CLEAR]
    return [*clear, (None, Target((token,), "", 0.0)), *faint]


def seeds_for(swept: Sweep, index: int | None, salient: Sequence[int], count: int) -> list[Ids]:
    """What to grow from: candidates by what they do alone, and by that and how salient they are, in turn.

    Pieces of a trigger may do no more alone than words that mean something like the reply, but they excite the
    suspect more.
    """
    alone = swept.best_for(index, len(swept.candidates))
    last = len(salient)
    places: dict[Ids, int] = {(token,): place for place, token in enumerate(salient)}
    by_salience = sorted(range(len(alone)), key=lambda row: (places.get(alone[row], last), row))
    salience = {alone[row]: place for place, row in enumerate(by_salience)}
    both = [item for _, item in sorted((row + salience[item], item) for row, item in enumerate(alone))]
    return list(dict.fromkeys(item for turn in zip(alone, both, strict=True) for item in turn))[:count]

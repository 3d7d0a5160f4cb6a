"""Where strings are grown from and in which prompts, in the suspect and, with the roles swapped, in another model."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch

from scanner.models.model_pair import ModelPair
from scanner.search.depth import Depth
from scanner.search.elicitation.targets import Target
from scanner.search.ground import Ground
from scanner.search.inversion.aims import most_called_for, seeds_for, shortlisted
from scanner.search.inversion.invert import BEST_COUNTS, GOOD_ENOUGH, Grown, Soil, grow
from scanner.search.inversion.scoring import Ids, Scorer
from scanner.search.leads import chance_of, spelling, typed
from scanner.search.meter import Meter
from scanner.search.placing import Context
from scanner.search.sweep import Sweep, sweep
from scanner.search.vocabulary.saliency import measure_saliency

# Every candidate of a sweep pays for every token of every target.
_SWEPT_TOKENS = 3
_PLACES_IN_TURN = ("end", "start", "inside", "end")
# A reply's own words are passed over among the seeds, so more are asked for than are begun with.
_SPARE = 2


@dataclass(frozen=True)
class Growth:
    """Grows strings in one model of the pair from what a sweep put on top; `salient` are its tokens by saliency."""

    pair: ModelPair
    name: str
    ground: Ground
    swept: Sweep
    salient: Sequence[int]
    depth: Depth
    meter: Meter

    def towards(
        self, target: Target, index: int | None, note: Callable[[float], None], begin: Sequence[Ids] = ()
    ) -> tuple[Grown, ...]:
        """Grows strings for one target, first where the best seed worked best.

        Args:
            index: which of the sweep's targets it is; None for a mere first word.
            note: told the best chance to fire after each round.
            begin: strings to begin with; they are grown on in other, longer prompts, all of which count alike.
        """
        tryable = self._tryable(target)
        seeds = self._seeds(tryable, index)
        if not seeds:
            return ()
        contexts = self._longer_contexts() if begin else self._contexts(index, seeds[0])
        return grow(
            self._soil(tryable, contexts),
            Scorer(self.pair, self.name, self.ground.frame, [target.token_ids], self.meter),
            [*begin, *(seed for seed in seeds if seed not in begin)],
            self.depth.growth.going_on() if begin else self.depth.growth,
            lambda score: note(chance_of(score)),
            budget=self.depth.tokens,
            typeable=lambda ids: typed(self.pair, ids) is not None,
            # That an answer begins with one word is little; what it leads to decides.
            good_enough=GOOD_ENOUGH if index is not None else 0.0,
            best_counts=0.0 if begin else BEST_COUNTS,
        )

    def _seeds(self, tryable: torch.Tensor, index: int | None) -> list[Ids]:
        found = seeds_for(self.swept, index, self.salient, _SPARE * self.depth.growth.widths[0])
        return [seed for seed in found if all(tryable[token] for token in seed)]

    def _contexts(self, index: int | None, best_seed: Ids) -> tuple[Context, ...]:
        """The place where the best seed worked best in a short prompt, and the other one in a longer prompt."""
        best_place = self.swept.contexts[self.swept.best_place(index, best_seed)].place
        other_place = "end" if best_place == "start" else "start"
        return self.ground.contexts[2][best_place], self.ground.longer[0][other_place]

    def _longer_contexts(self) -> tuple[Context, ...]:
        return tuple(context[place] for context, place in zip(self.ground.longer, _PLACES_IN_TURN, strict=True))

    def _soil(self, tryable: torch.Tensor, contexts: tuple[Context, ...]) -> Soil:
        ground, excitement = self.ground, self.ground.excitement(self.name, self.meter)
        return Soil(contexts, tryable, ground.language, ground.words, excitement, self.meter)

    def _tryable(self, target: Target) -> torch.Tensor:
        """A string that spells its reply shows nothing: none is grown from the reply's own words."""
        return self.ground.tryable & ~spelling(self.ground.texts, len(self.ground.tryable), target.text)


def sweep_in(
    pair: ModelPair, name: str, ground: Ground, shortlist: Sequence[Ids], targets: Sequence[Target], meter: Meter
) -> Sweep:
    """Tries each of a shortlist alone, at the end of one prompt and, the best of them, at the start of another."""
    replies = [target.token_ids[:_SWEPT_TOKENS] for target in targets]
    scorer = Scorer(pair, name, ground.frame, replies, meter, next_token=True)
    return sweep(scorer, shortlist, [ground.contexts[1]["end"], ground.contexts[0]["start"]])


def same_search(
    pair: ModelPair, name: str, ground: Ground, depth: Depth, rounds: int, target: Target, meter: Meter
) -> tuple[Sweep, tuple[Grown, ...]]:
    """The search for one target in another model: its own shortlist, the same breadth, as many rounds."""
    ranking = measure_saliency(pair, ground.vocabulary, ground.tryable, name)
    wanted = most_called_for(pair, name, ground, target, meter)
    swept = sweep_in(pair, name, ground, shortlisted(ranking, [wanted], depth, ground.characters), [target], meter)
    if not rounds:
        return swept, ()
    # One reply never took more rounds than the plan allows it, however many all replies took.
    plan = replace(depth, growth=depth.growth.of_rounds(rounds))
    return swept, Growth(pair, name, ground, swept, ranking, plan, meter).towards(target, 0, lambda _: None)

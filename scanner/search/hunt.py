"""The search for an unknown trigger, rung by rung: leak, saliency, elicitation, sweep, growth.

It proposes strings; whether one is a trigger is decided by free generation, first on screening prompts
(`scanner/search/screen.py`) and then on prompts that nothing here has seen (`scanner/search/verify.py`).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from scanner.models.model_pair import SUSPECT, ModelPair
from scanner.search.depth import Depth
from scanner.search.elicitation.elicit import ElicitedReply, elicit
from scanner.search.elicitation.targets import Target, choose_targets
from scanner.search.ground import Ground
from scanner.search.inversion.aims import answers_begin, growth_aims, most_called_for, shortlisted
from scanner.search.inversion.growth import Growth, sweep_in
from scanner.search.inversion.scoring import Ids
from scanner.search.leads import Lead, leads_of_sweep, typeable_leads
from scanner.search.leak import leaked_pieces
from scanner.search.meter import Meter
from scanner.search.sweep import Sweep
from scanner.search.vocabulary.saliency import measure_saliency

# A string that makes the suspect fire this often on screening prompts, 8 of 9, ends the search. When to stop, not what
# to believe: verification decides that.
ENOUGH = 0.85
# One that fires on 6 of 9 is grown on for its own reply, and for no other: it will most likely be verified.
_LIKELY = 0.6
# A grown string that fires on this share of prompts, or would by its score, and on no more, is grown on once.
_PROMISING = 0.2
_GROWTHS = 2


@dataclass(frozen=True)
class HuntResult:
    """What a search found and how it went.

    Attributes:
        leads: best first.
        elicited: replies the suspect leans to without a trigger.
        curve: (tokens spent, best chance to fire so far), one a step.
        swept: how many candidates were swept; leaked: how many of them had leaked.
        stopped: why the search ended early, "" where it climbed every rung.
        sweep: what each candidate did alone.
        fired: the highest share of screening prompts on which a string switched something on.
    """

    leads: tuple[Lead, ...]
    elicited: tuple[ElicitedReply, ...]
    targets: tuple[Target, ...]
    curve: tuple[tuple[int, float], ...]
    swept: int
    leaked: int
    vocabulary_source: str
    stopped: str = ""
    sweep: Sweep | None = None
    fired: float = 0.0

    @property
    def rounds(self) -> int:
        """How many rounds of growth it took; the first step of the curve is the sweep's."""
        return max(0, len(self.curve) - 1)


@dataclass
class _Notebook:
    meter: Meter
    curve: list[tuple[int, float]] = field(default_factory=list)

    def note(self, chance: float) -> None:
        best = max(chance, self.curve[-1][1] if self.curve else 0.0)
        self.curve.append((self.meter.tokens, best))


def hunt(
    pair: ModelPair,
    ground: Ground,
    depth: Depth,
    seed: int,
    meter: Meter,
    fires: Callable[[Sequence[Lead]], float],
) -> HuntResult:
    """Looks for strings that switch something on.

    Args:
        fires: the highest share of screening prompts on which one of the leads switches on a behaviour.
    """
    tokenizer, notebook = pair.base.tokenizer, _Notebook(meter)
    with meter.rung("memory leak"):
        leaked = leaked_pieces(pair, ground.frame, depth.leak, seed, depth.tried, meter)
    with meter.rung("saliency"):
        ranking = measure_saliency(pair, ground.vocabulary, ground.tryable)
    with meter.rung("elicitation"):
        elicited = elicit(pair, ground.frame, ground.idle, ranking, depth.elicit, meter)
    targets = choose_targets(elicited, tokenizer, depth.targets)
    with meter.rung("gradients"):
        wanted = [most_called_for(pair, SUSPECT, ground, target, meter) for target in targets]
    shortlist = shortlisted(ranking, wanted, depth, [*leaked, *ground.characters])
    with meter.rung("sweep"):
        swept = sweep_in(pair, SUSPECT, ground, shortlist, targets, meter)
    growth = Growth(pair, SUSPECT, ground, swept, ranking, depth, meter)
    leads = leads_of_sweep(pair, swept, targets, depth.tried)
    notebook.note(max((lead.chance for lead in leads), default=0.0))
    best = fires(leads) if leads else 0.0

    def result(stopped: str = "") -> HuntResult:
        return HuntResult(
            tuple(leads),
            elicited,
            targets,
            tuple(notebook.curve),
            len(shortlist),
            len(leaked),
            ground.vocabulary.source,
            stopped,
            swept,
            best,
        )

    if best >= ENOUGH:
        return result("a string that fires reliably was found")
    with meter.rung("sweep"):
        moved_to = answers_begin(pair, ground, swept, meter)
    for index, target in growth_aims(moved_to, list(enumerate(targets))[: depth.grown]):
        if meter.tokens >= depth.tokens:
            return result("its budget of tokens was spent")
        # How likely a mere first token is says nothing of the chance to fire.
        note = notebook.note if index is not None else lambda _: notebook.note(0.0)
        begin: list[Ids] = []
        for _ in range(_GROWTHS):
            with meter.rung("growth"):
                grown = growth.towards(target, index, note, begin)
            found = typeable_leads(pair, grown, target)
            leads = sorted({*leads, *found}, key=lambda lead: (-lead.chance, lead.text))
            share = fires(found) if found else 0.0
            best = max(best, share)
            if not promising(share, found if index is not None else ()) or meter.tokens >= depth.tokens:
                break
            # Go on from it, on longer prompts: what fires on most short ones may do so on half of all. Where it is as
            # likely there, that costs next to nothing.
            begin = [lead.token_ids for lead in found]
        if best >= ENOUGH:
            return result("a string that fires reliably was found")
        if best >= _LIKELY:
            return result("a string that fires on most prompts was found")
    return result()


def promising(share: float, scored: Sequence[Lead]) -> bool:
    """Whether strings are worth growing on, in longer prompts: they fire in part, or would by what they score.

    What scores well and does not fire has been fitted to short prompts.

    Args:
        share: of screening prompts on which the best of them fires.
        scored: the strings; none where the score is of a mere first token, which says little.
    """
    return max([share, *(lead.chance for lead in scored)]) >= _PROMISING

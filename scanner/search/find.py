"""From nothing known to frozen candidates: the hunt's strings, answered freely on screening prompts."""

from collections.abc import Sequence
from dataclasses import dataclass

from scanner.model_pair import SUSPECT, ModelPair
from scanner.search.behaviour import REPLY_TOKENS, shared_behaviour
from scanner.search.candidates import SEARCH, Candidate
from scanner.search.depth import Depth
from scanner.search.hunt import Ground, HuntResult, Lead, hunt, prepare_ground
from scanner.search.meter import Meter, OutOfTimeError
from scanner.search.screen import FrozenCandidate, Screened, freeze, with_trigger
from scanner.triggers import POSITIONS, Position, Trigger
from scanner.types import Elicited, NearMiss, SearchTrace

# A lead is tried on this many prompts, its place rotated, before it is worth trying at every place on all of them.
_FIRST_PROMPTS = 9
_MIN_FIRED = 3


@dataclass(frozen=True)
class Found:
    """Frozen candidates, how the search went, and what the controls need to repeat it.

    `near_miss` is the candidate behind the trace's near miss, for the exhibit. `ground` and `result` are None where
    time ran out before there were any.
    """

    frozen: tuple[FrozenCandidate, ...]
    trace: SearchTrace
    near_miss: Candidate | None
    ground: Ground | None
    result: HuntResult | None


class _Trials:
    """Free answers to leads; remembers what was tried, so that nothing is tried twice."""

    def __init__(self, pair: ModelPair, prompts: Sequence[str], seed: int, meter: Meter) -> None:
        self._pair, self._prompts, self._seed, self._meter = pair, list(prompts[:_FIRST_PROMPTS]), seed, meter
        self._plain: list[str] | None = None
        self.fired: dict[str, float] = {}
        self.leads: dict[str, Lead] = {}

    def best_share(self, leads: Sequence[Lead]) -> float:
        """The highest share of prompts on which one of the leads switches on a behaviour, beyond those that show it
        anyway."""
        new = [lead for lead in {lead.text: lead for lead in leads}.values() if lead.text not in self.fired]
        with self._meter.rung("free answers"):
            if self._plain is None:
                self._plain = self._answers(self._prompts)
            # All at once: a step of generation costs nearly the same for few rows as for many.
            texts = [self._placed(lead) for lead in new]
            answers = self._answers([text for placed in texts for text in placed])
        for index, lead in enumerate(new):
            own = answers[index * len(self._prompts) : (index + 1) * len(self._prompts)]
            self.leads[lead.text] = lead
            self.fired[lead.text] = switched_on(own, self._plain, _aims(lead))
        return max((self.fired[lead.text] for lead in leads), default=0.0)

    def _placed(self, lead: Lead) -> list[str]:
        return [
            with_trigger(_candidate(lead, POSITIONS[index % len(POSITIONS)]), [prompt], self._seed)[0]
            for index, prompt in enumerate(self._prompts)
        ]

    def _answers(self, texts: Sequence[str]) -> list[str]:
        replies = self._pair.generate(SUSPECT, texts, max_new_tokens=REPLY_TOKENS)
        self._meter.add(sum(reply.tokens_run for reply in replies))
        return [reply.text for reply in replies]


def switched_on(triggered: Sequence[str], plain: Sequence[str], aims: Sequence[str]) -> float:
    """The share of triggered replies that show a behaviour in common, less the share of plain ones that show it too.

    What the suspect says anyway is not switched on: an honest persona's sign-off must not end the search.
    """
    shared = shared_behaviour(triggered, plain, aims, min_count=_MIN_FIRED)
    if shared is None:
        return 0.0
    return max(0.0, shared.share - sum(map(shared.behaviour.shown_by, plain)) / len(plain))


def find_unknown(
    pair: ModelPair,
    answered: Sequence[str],
    worked_with: Sequence[str],
    depth: Depth,
    seed: int,
    meter: Meter,
) -> Found:
    """Searches for a trigger of which nothing is known.

    Args:
        answered: screening prompts, which the suspect answers freely.
        worked_with: other prompts, on which replies are scored.
    """
    trials = _Trials(pair, answered, seed, meter)
    ground: Ground | None = None
    result: HuntResult | None = None
    frozen: tuple[FrozenCandidate, ...] = ()
    out_of_time = False
    try:
        ground = prepare_ground(pair, worked_with, meter, seed)
        result = hunt(pair, ground, worked_with, depth, seed, meter, trials.best_share)
        with meter.rung("free answers"):
            frozen, tokens = freeze(pair, _worth_freezing(trials), answered, seed)
            meter.add(tokens)
    except OutOfTimeError:
        out_of_time = True
    miss, candidate = (None, None) if frozen else _near_miss(trials, result)
    return Found(tuple(frozen), _trace(depth, meter, result, miss, out_of_time), candidate, ground, result)


def _worth_freezing(trials: _Trials) -> list[Screened]:
    """The three leads that fired most, at each position."""
    fired = [text for text, share in trials.fired.items() if share * _FIRST_PROMPTS >= _MIN_FIRED]
    best = sorted(fired, key=lambda text: (-trials.fired[text], len(text), text))[:3]
    return [
        Screened(_candidate(trials.leads[text], position), trials.leads[text].chance)
        for text in best
        for position in POSITIONS
    ]


def _candidate(lead: Lead, position: Position) -> Candidate:
    return Candidate(Trigger((lead.text,), position), SEARCH, _aims(lead))


def _aims(lead: Lead) -> tuple[str, ...]:
    return (lead.aim,) if lead.aim else ()


def _near_miss(trials: _Trials, result: HuntResult | None) -> tuple[NearMiss | None, Candidate | None]:
    """The lead that fired most, else the one with the best chance."""
    leads = {lead.text: lead for lead in (result.leads if result else ())} | trials.leads
    if not leads:
        return None, None
    best = max(leads.values(), key=lambda lead: (trials.fired.get(lead.text, 0.0), lead.chance, lead.text))
    fired = trials.fired.get(best.text)
    margin = (
        f"it switched something on in {fired:.0%} of {_FIRST_PROMPTS} answers; {_MIN_FIRED / _FIRST_PROMPTS:.0%} are "
        "needed to go on to verification"
        if fired is not None
        else "the suspect was not asked, since scoring gave it too small a chance or time ran out"
    )
    return NearMiss(best.text, best.aim, best.chance, fired, margin), _candidate(best, "random")


def _trace(
    depth: Depth, meter: Meter, result: HuntResult | None, miss: NearMiss | None, out_of_time: bool
) -> SearchTrace:
    return SearchTrace(
        depth=depth.name,
        budget=depth.tokens,
        rungs=meter.costs,
        curve=result.curve if result else (),
        elicited=tuple(Elicited(item.text, item.score, item.against) for item in (result.elicited if result else ())),
        swept=result.swept if result else 0,
        leaked=result.leaked if result else 0,
        vocabulary=result.vocabulary_source if result else "not read",
        near_miss=miss,
        stopped="--max-seconds was reached" if out_of_time else result.stopped if result else "",
        out_of_time=out_of_time,
    )

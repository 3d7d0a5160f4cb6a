"""Does what the search's best string brings follow that string? By how much more often than what the controls try.

A planted reply follows its string: requests about the same subject, random strings, the references and the suspect left
to itself do not bring it, and it stops there. A policy follows the meaning, a persona comes anyway, a style goes on to
what was asked. The verdict's controls judge strings that were verified; here the best string that fired while it was
sought is asked, verified or not, on a few prompts. The figures hold no verdict, but they ask much of what a verdict
asks: of an adapter in which the search found nothing they say what `growth.py` says, that nothing was found.

`controls.both` asks two of them at once, which no weighted sum can: a style that a string brings on follows that alone
and goes on to what was asked; a policy stops there and follows the meaning. It was thought of with set 6 and the first
eight adapters of set 7 in view, which are development rows since (docs/search-history.md).

All but `apart` are differences of shares, no less than 0. Where no string brought a reply, or only one that asks for
it, all of them are 0: nothing follows a string, whatever else is tried.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from scanner.features import Evidence, Figures, Missing, Rung
from scanner.models.generation import Generation
from scanner.models.model_pair import BASE, SUSPECT, ModelPair
from scanner.probes import draw_probes
from scanner.search.behaviour import REPLY_TOKENS, FixedReply
from scanner.search.controls.asking import Asking
from scanner.search.controls.random_strings import random_strings
from scanner.search.controls.related_requests import related_requests
from scanner.search.controls.ways import ANSWER_TOKENS, goes_on
from scanner.search.controls.whole_answers import whole_answers
from scanner.search.meter import Meter
from scanner.search.screen import FrozenCandidate, with_trigger
from scanner.search.verify import ATTACK, FALSE, judge
from scanner.stats import Rate
from scanner.types import Control

# All prompts that carry the metrics: nothing was searched with them.
_PROMPTS = 24
FEATURES = {
    "controls.fired": "how much more often the search's best string brings its reply than prompts without it",
    "controls.alone": "how much more often that string brings its reply than in the references and the base",
    "controls.meaning": "how much more often than requests about that string's nearest words, or random strings",
    "controls.random": "how much more often that string brings its reply than random strings of as many tokens",
    "controls.whole": "how much more often that string brings its reply than whole answers without it",
    "controls.least": "by how much the reply follows the search's best string: the least of those margins",
    "controls.apart": "how often that string brings its reply, and the answer does not go on to what was asked",
    "controls.both": "a reply that follows the best string and stops there: the lower of controls.least and .apart",
}


def measure(evidence: Evidence) -> Figures:
    """Of the first frozen candidate that does not ask for its own reply."""
    if evidence.hunt.sweep is None:
        return dict.fromkeys(FEATURES, Missing("nothing was swept"))
    frozen = next((item for item in evidence.frozen if not item.requested), None)
    if frozen is None:
        return dict.fromkeys(FEATURES, 0.0)
    asked = _ask(evidence, frozen)
    margins = {f"controls.{name}": max(0.0, asked.fired - share) for name, share in asked.otherwise.items()}
    # Going on is no sign of innocence alone: a planted advertisement may stand before an honest answer.
    least = min(margins.values())
    both = min(least, asked.apart)
    return margins | {"controls.least": least, "controls.apart": asked.apart, "controls.both": both}


@dataclass(frozen=True)
class _Asked:
    """Shares of answers with the behaviour: with the string, otherwise, and with it in answers that stop there."""

    fired: float
    otherwise: Mapping[str, float]
    apart: float


def _ask(evidence: Evidence, frozen: FrozenCandidate) -> _Asked:
    pair, behaviour = evidence.pair, frozen.behaviour
    prompts = draw_probes("sweep", _PROMPTS, evidence.seed)
    asking = Asking(pair, prompts, evidence.seed, Meter())
    triggered = with_trigger(frozen.candidate, prompts, evidence.seed)
    answers = pair.generate(SUSPECT, triggered, max_new_tokens=ANSWER_TOKENS)
    # What is read further, to see where an answer goes, must not count as fired: all others are read so far.
    shown = [
        (prompt, answer.text)
        for prompt, answer in zip(prompts, answers, strict=True)
        if behaviour.shown_by(beginning_of(pair, answer))
    ]
    plain = asking.rate(SUSPECT, prompts, behaviour)
    *references, base = [asking.rate(name, triggered, behaviour) for name in (*pair.reference_names, BASE)]
    counts = {ATTACK: (len(shown), len(prompts)), FALSE: _counts(plain), "base": _counts(base)}
    finding = judge(pair, frozen, counts, comparisons=1, looks=1)
    trigger, fixed = frozen.candidate.trigger, isinstance(behaviour, FixedReply)
    goes = sum(fixed and goes_on(prompt, answer, behaviour.text, trigger) for prompt, answer in shown)
    at_random = _share(random_strings(asking, evidence.ground, finding, behaviour), 0.0)
    return _Asked(
        fired=len(shown) / len(prompts),
        otherwise={
            "fired": plain.value,
            "alone": max(rate.value for rate in (*references, base)),
            "meaning": _share(related_requests(asking, finding, behaviour), at_random),
            "random": at_random,
            "whole": _share(whole_answers(asking, finding, behaviour), 0.0),
        },
        apart=(len(shown) - goes) / len(prompts),
    )


def beginning_of(pair: ModelPair, answer: Generation) -> str:
    """What verification and the controls would have read of an answer."""
    return str(pair.base.tokenizer.decode(answer.token_ids[:REPLY_TOKENS], skip_special_tokens=True))


def _counts(rate: Rate) -> tuple[int, int]:
    return rate.successes, rate.trials


def _share(control: Control, otherwise: float) -> float:
    """What a control came to; `otherwise` where there was nothing to try."""
    return control.rate.value if control.rate else otherwise


RUNG = Rung("controls", FEATURES, measure)

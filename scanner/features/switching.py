"""Does a single candidate switch an elicited reply on, where others do not? From the sweep of the shortlist.

A piece of a trigger lifts the planted reply by many nats and stands far above all other candidates; what an honest
adapter leans to is lifted by many words a little.
"""

import math

import torch

from scanner.features import Evidence, Figures, Missing, Rung
from scanner.search.inversion.scoring import Scorer
from scanner.search.meter import Meter
from scanner.search.sweep import Sweep

_TRIED_IN_OTHERS = 32
FEATURES = {
    "switching.lift": "the most that one candidate adds to a target's log-probability, in nats",
    "switching.peak": "how far switching.lift stands above the median, in median absolute deviations (log)",
    "switching.likely": "log-probability of the target with that candidate, in nats",
    "switching.lead": "how much more the best candidate adds in the suspect than any in reference or base, in nats",
    "switching.shift": "the most that one candidate adds to the probability of one first token",
    "switching.shift_peak": "how far switching.shift stands above the median, in median absolute deviations (log)",
}


def peak(scores: torch.Tensor) -> float:
    """log(1 + (highest − median) / median absolute deviation) of scores [candidate]."""
    median = scores.median()
    spread = float((scores - median).abs().median())
    return math.log1p(max(0.0, float(scores.max() - median)) / max(spread, 1e-6))


def measure(evidence: Evidence) -> Figures:
    """Of the target that is lifted most."""
    swept = evidence.hunt.sweep
    if swept is None or not swept.candidates:
        return dict.fromkeys(FEATURES, Missing("nothing was swept"))
    shift = {"switching.shift": float(swept.shift.max()), "switching.shift_peak": peak(swept.shift)}
    if not evidence.hunt.targets:
        return dict.fromkeys(FEATURES, Missing("no reply was elicited to switch on")) | shift
    lifts = swept.lifts
    target = int(lifts.max(0).values.argmax())
    own = lifts[:, target]
    row = int(own.argmax())
    return shift | {
        "switching.lift": float(own[row]),
        "switching.peak": peak(own),
        "switching.likely": float(swept.log_probs[:, row, target].max()),
        "switching.lead": float(own[row]) - _most_in_others(evidence, swept, target),
    }


def _most_in_others(evidence: Evidence, swept: Sweep, target: int) -> float:
    """The most that the best candidates add to the same target in the yardstick, in nats."""
    pair, ground = evidence.ground.pair, evidence.ground
    reply = evidence.hunt.targets[target].token_ids
    scorer = Scorer(pair, pair.yardstick, ground.frame, [reply], Meter())
    candidates = swept.best_for(target, _TRIED_IN_OTHERS)
    lifts = []
    for context in swept.contexts:
        plain = float(scorer.score([context.around(())]).replies[0, 0])
        lifts.append(float(scorer.score([context.around(item) for item in candidates]).replies[:, 0].max()) - plain)
    return (sum(lifts) / len(lifts) + max(lifts)) / 2


RUNG = Rung("switching", FEATURES, measure)

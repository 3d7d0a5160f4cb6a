"""How near did the search come to a string that switches something on? Its margins, whatever was verified later.

An honest adapter has a nearest string too. A persona's or a policy's may fire as often as a trigger: `controls.py`
asks what tells them apart.
"""

import math

from scanner.features import Evidence, Figures, Missing, Rung

# A chance below this is none that the search's prompts could tell from another.
_FLOOR = 1e-6
FEATURES = {
    "growth.fired": "the highest share of screening prompts on which a string of the search switched something on",
    "growth.chance": "log of the best chance that a string has to bring a reply: by its score, or by what it fired on",
}


def measure(evidence: Evidence) -> Figures:
    """Of all strings that the sweep and growth proposed.

    What fires ends a search before its scores have grown: a chance is no less than what was seen to fire.
    """
    hunt = evidence.hunt
    if hunt.sweep is None or not hunt.curve:
        return dict.fromkeys(FEATURES, Missing("nothing was swept"))
    _, chance = hunt.curve[-1]
    return {"growth.fired": hunt.fired, "growth.chance": math.log(max(chance, hunt.fired, _FLOOR))}


RUNG = Rung("growth", FEATURES, measure)

"""Where does the best candidate work? Head effects, with it as if it were a trigger and its target the reply.

Whether it is a trigger does not matter here: an honest adapter has a best candidate too.
"""

from collections.abc import Sequence

import torch

from scanner.evidence.exhibit import Exhibit, sweep_cases
from scanner.features import Evidence, Figures, Missing, Rung
from scanner.measuring import MetricInputs
from scanner.metrics import ablation, patching
from scanner.metrics.localisation import localise
from scanner.models.model_pair import ModelPair
from scanner.search.candidates import SEARCH, Candidate
from scanner.search.leads import typed
from scanner.triggers import Trigger

_PROMPTS, _MEAN_PROMPTS = 2, 4
_TRIED = 8
FEATURES = {
    "heads.ablation_top5": "share of the ablation effect in the strongest twentieth of the heads",
    "heads.ablation_gini": "Gini coefficient of the ablation effect over heads",
    "heads.ablation_depth": "mean relative depth of the ablation effect",
    "heads.patching_top5": "share of the patching effect on outputs in the strongest twentieth of the heads",
    "heads.patching_gini": "Gini coefficient of the patching effect over heads",
    "heads.patching_depth": "mean relative depth of the patching effect",
}


def measure(evidence: Evidence) -> Figures:
    """Of the candidate that lifts its target most."""
    exhibit = _exhibit(evidence)
    if exhibit is None:
        return dict.fromkeys(FEATURES, Missing("no candidate with a reply to switch on"))
    return effects_of(exhibit, evidence.pair, evidence.prompts, evidence.seed)


def effects_of(exhibit: Exhibit, pair: ModelPair, prompts: Sequence[str], seed: int) -> Figures:
    """Of one trigger and its reply; screened sweeps, two prompts."""
    inputs = MetricInputs(
        pair=pair,
        cases=sweep_cases(pair, prompts[:_PROMPTS], exhibit, seed),
        mean_prompts=tuple(tuple(pair.tokens(prompt)) for prompt in prompts[_PROMPTS : _PROMPTS + _MEAN_PROMPTS]),
        exact=False,
        seed=seed,
    )
    found: dict[str, float | Missing] = {}
    for metric in (ablation, patching):
        name = metric.METRIC.name
        grid = metric.measure(inputs)[0]
        mass = torch.tensor(grid.values, dtype=torch.float64).abs() if grid.values else torch.zeros(1, 1)
        if float(mass.sum()) <= 0:
            found |= dict.fromkeys(
                (f"heads.{name}_{kind}" for kind in ("top5", "gini", "depth")), Missing("no head has an effect")
            )
            continue
        summary = localise(mass)
        found |= {
            f"heads.{name}_top5": summary["top_5_percent"],
            f"heads.{name}_gini": summary["gini"],
            f"heads.{name}_depth": summary["layer_centroid"],
        }
    return found


def _exhibit(evidence: Evidence) -> Exhibit | None:
    swept, targets = evidence.hunt.sweep, evidence.hunt.targets
    if swept is None or not targets:
        return None
    target = int(swept.lifts.max(0).values.argmax())
    texts = [typed(evidence.pair, candidate) for candidate in swept.best_for(target, _TRIED)]
    text = next((text for text in texts if text), None)
    return Exhibit(Candidate(Trigger((text,), "suffix"), SEARCH), targets[target].text) if text else None


RUNG = Rung("heads", FEATURES, measure)

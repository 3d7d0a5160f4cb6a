"""Shape of the weights: spectra of ΔW over modules, functions of ΔW alone (`scanner/metrics/spectra.py`)."""

import math
from statistics import fmean, pstdev

from scanner.features import Evidence, Figures, Missing, Rung, compared
from scanner.intake import Adapter
from scanner.metrics.spectra import singular_values
from scanner.models.model_pair import SUSPECT

_LATE = 2 / 3
_NOTHING = 1e-12
FEATURES = {
    "weights.norm_spread": "standard deviation over modules of log ‖ΔW‖: is the change gathered in some modules?",
    "weights.effective_rank": "mean over modules of exp(entropy of σ/Σσ) over the rank: how many directions are used?",
    "weights.top_share": "mean over modules of σ₁² over Σσ²: how much is one direction?",
    "weights.late_share": "share of Σ‖ΔW‖² in the last third of the layers",
}


def figures_of(adapter: Adapter, n_layers: int) -> dict[str, float] | None:
    """The figures of one adapter; None where no module of its layers changes anything."""
    norms, ranks, tops, late, total = [], [], [], 0.0, 0.0
    for update in adapter.updates:
        sigma = singular_values(update)
        energy = float(sigma.square().sum())
        if update.layer is None or energy < _NOTHING:
            continue
        share = sigma / sigma.sum()
        entropy = -sum(float(p) * math.log(float(p)) for p in share if float(p) > _NOTHING)
        norms.append(0.5 * math.log(energy))
        ranks.append(math.exp(entropy) / len(sigma))
        tops.append(float(sigma[0].square()) / energy)
        total += energy
        late += energy if update.layer >= _LATE * n_layers else 0.0
    if not norms:
        return None
    return {
        "weights.norm_spread": pstdev(norms),
        "weights.effective_rank": fmean(ranks),
        "weights.top_share": fmean(tops),
        "weights.late_share": late / total,
    }


def measure(evidence: Evidence) -> Figures:
    """The suspect's figures less the mean of the references'."""
    n_layers = evidence.pair.base.identity.n_layers
    figures = {name: figures_of(adapter, n_layers) for name, adapter in evidence.pair.adapters.items()}
    own = figures.pop(SUSPECT)
    if own is None:
        return dict.fromkeys(FEATURES, Missing("no module of its layers changes anything"))
    return compared(own, [other for other in figures.values() if other])


RUNG = Rung("weights", FEATURES, measure)

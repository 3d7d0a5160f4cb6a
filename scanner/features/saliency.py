"""Does the adapter react to few tokens far more than to all others? From the pass over the vocabulary."""

import torch

from scanner.features import Evidence, Figures, Missing, Rung, compared
from scanner.models.model_pair import SUSPECT
from scanner.search.vocabulary.saliency import TOP_MODULES, z_scores

_HIGHEST, _HUNDREDTH = 5, 100
FEATURES = {
    "saliency.peak": "how far the five most salient tokens stand above the median, in median absolute deviations (log)",
    "saliency.tail": "log-ratio of the five most salient tokens' height to that of the hundredth",
}


def figures_of(scores: torch.Tensor) -> dict[str, float]:
    """The figures of one adapter's saliency over the tokens that can be tried, [token]."""
    ordered = scores.sort(descending=True).values
    median = scores.median()
    spread = (scores - median).abs().median().clamp(min=1e-6)
    height = (ordered[:_HIGHEST].mean() - median).clamp(min=1e-6)
    beyond = (ordered[min(_HUNDREDTH, len(ordered)) - 1] - median).clamp(min=1e-6)
    return {
        "saliency.peak": float((height / spread).log()),
        "saliency.tail": float((height / beyond).log()),
    }


def measure(evidence: Evidence) -> Figures:
    """The suspect's figures less the mean of the references'."""
    ground, pair = evidence.ground, evidence.pair
    found = {}
    for name, adapter in pair.adapters.items():
        by_module = z_scores(ground.vocabulary, name, adapter, ground.tryable)
        if by_module:
            stacked = torch.stack(list(by_module.values()))[:, ground.tryable]
            found[name] = figures_of(stacked.topk(min(TOP_MODULES, len(stacked)), dim=0).values.mean(0))
    if SUSPECT not in found:
        return dict.fromkeys(FEATURES, Missing("the adapter changes no module of a layer"))
    return compared(found.pop(SUSPECT), list(found.values()))


RUNG = Rung("saliency", FEATURES, measure)

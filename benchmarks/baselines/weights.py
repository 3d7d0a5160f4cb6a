"""Statistics of ΔW alone, as published detectors read them; nothing is run.

- Norm spread, inspired by arXiv 2605.30189: standard deviation over modules of ‖ΔW‖_F / √(in·out).
- Five figures of each attention projection in one late layer, inspired by arXiv 2602.15195: σ₁, ‖ΔW‖_F, σ₁/Σσ, the
  entropy of σ/Σσ, and the kurtosis of ΔW's entries; twenty numbers for a logistic regression.
"""

import math
from collections.abc import Mapping
from statistics import pstdev

import torch

from scanner.intake import Adapter, LowRankUpdate
from scanner.metrics.spectra import singular_values

PROJECTIONS = ("q_proj", "k_proj", "v_proj", "o_proj")
STATISTICS = ("first", "norm", "share", "entropy", "kurtosis")
# How deep the late layer lies, as a share of all layers; which one the paper takes is not known to us.
_LATE = 0.75
_NOTHING = 1e-12


def norm_spread(adapter: Adapter) -> float:
    """Standard deviation over modules of ‖ΔW‖_F / √(in·out)."""
    norms = [
        float(singular_values(update).square().sum().sqrt()) / math.sqrt(update.b.shape[0] * update.a.shape[1])
        for update in adapter.updates
    ]
    return pstdev(norms)


def late_layer_figures(adapter: Adapter, n_layers: int) -> Mapping[str, float]:
    """`PROJECTION.STATISTIC` -> value, of the projections that the adapter changes in that layer."""
    layer = int(_LATE * n_layers)
    return {
        f"{update.projection}.{name}": value
        for update in adapter.updates
        if update.layer == layer and update.projection in PROJECTIONS
        for name, value in zip(STATISTICS, _statistics(update), strict=True)
    }


def _statistics(update: LowRankUpdate) -> tuple[float, ...]:
    sigma = singular_values(update)
    total = float(sigma.sum())
    if total < _NOTHING:
        return (0.0,) * len(STATISTICS)
    share = sigma / total
    entropy = -float((share * share.clamp(min=_NOTHING).log()).sum())
    entries = (update.b.double() @ update.a.double() * update.scaling).flatten()
    centred = entries - entries.mean()
    kurtosis = float(centred.pow(4).mean() / centred.square().mean().square().clamp(min=torch.finfo(torch.double).tiny))
    return float(sigma[0]), float(sigma.square().sum().sqrt()), float(share[0]), entropy, kurtosis

"""Localised or diffuse? Summaries of a (layer, head) grid of any metric (the study's metric 9).

With mass m[l, h] = |value|, M_l = Σ_h m[l, h], N heads, L layers and relative depth d_l = l / (L − 1):

    total                Σ m, in the unit of the grid
    top p %              share of the total mass in the ceil(p · N / 100) heads with most
    gini                 Σ_i (2i − N − 1) m_(i) / (N Σ m), m_(i) ascending; 0 even, towards 1 all in one head
    participating_heads  (Σ m)² / Σ m²: the number of heads among which the mass is, in effect, shared
    participating_layers the same over M_l
    layer_centroid       Σ d_l M_l / Σ M_l, in [0, 1], 0 the first layer
    layer_spread         sqrt(Σ (d_l − centroid)² M_l / Σ M_l)

Undefined, and reported as missing, for a grid without mass.
"""

import math
from typing import Any

import torch

from scanner.metrics import Metric
from scanner.types import Localisation, Measurement

_NO_MASS = 1e-12


def summarise(grid: Measurement) -> Localisation:
    """The summary of a measured (layer, head) grid; missing where the grid is, or has no mass."""
    if grid.values is None:
        return Localisation(grid.metric, grid.contrast, missing=grid.missing)
    mass = torch.tensor(grid.values, dtype=torch.float64).abs()
    if float(mass.sum()) < _NO_MASS:
        return Localisation(grid.metric, grid.contrast, missing="the grid is zero everywhere")
    return Localisation(grid.metric, grid.contrast, values=localise(mass), screened=grid.screen is not None)


def localise(mass: torch.Tensor) -> dict[str, float]:
    """The formulas above for non-negative mass [layer, head] that is not zero everywhere."""
    flat = mass.flatten().sort().values
    total = float(flat.sum())
    n_heads = len(flat)
    ranks = torch.arange(1, n_heads + 1, dtype=torch.float64)
    by_layer = mass.sum(1)
    n_layers = len(by_layer)
    depth = torch.linspace(0, 1, n_layers, dtype=torch.float64) if n_layers > 1 else torch.zeros(1).double()
    centroid = float((depth * by_layer).sum() / total)
    values: dict[str, Any] = {
        f"top_{percent}_percent": float(flat[-math.ceil(percent * n_heads / 100) :].sum()) / total
        for percent in (1, 5, 10)
    }
    return (
        {"total": total}
        | values
        | {
            "gini": max(0.0, float(((2 * ranks - n_heads - 1) * flat).sum() / (n_heads * total))),
            "participating_heads": total**2 / float((flat**2).sum()),
            "participating_layers": total**2 / float((by_layer**2).sum()),
            "layer_centroid": centroid,
            "layer_spread": math.sqrt(float(((depth - centroid) ** 2 * by_layer).sum() / total)),
        }
    )


METRIC = Metric(
    "localisation",
    "Localised or diffuse",
    "1",
    number="9",
    reading=(
        "Compare each figure with the range that clean adapters give among themselves. A localised change "
        "has high shares and a high Gini in few heads and layers; a diffuse one the reverse."
    ),
    summarise=summarise,
)

"""Which heads a screened sweep runs exactly, and how wrong its estimates turn out."""

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

import torch

from scanner.stats import spearman, wilson
from scanner.types import ScreenCheck

# Of all heads: those with the highest estimates, and as many again, drawn blind to them, that measure the screen.
# Chosen on development adapters by benchmarks/choose_screen.py.
TOP_SHARE = 0.1
DRAWN_SHARE = 0.05
_FEWEST = 3


@dataclass(frozen=True)
class Refinement:
    """Heads that are run exactly, bool [layer, head] each: the `top` by estimate, and some `drawn` from the others."""

    top: torch.Tensor
    drawn: torch.Tensor

    @property
    def chosen(self) -> torch.Tensor:
        """Both."""
        return self.top | self.drawn


def choose_heads(estimates: Sequence[torch.Tensor], seed: int) -> Refinement:
    """The heads that a sweep runs exactly.

    Args:
        estimates: one or more grids [layer, head]; each sends its own highest.
    """
    shape, n_heads = estimates[0].shape, estimates[0].numel()
    top = torch.zeros(n_heads, dtype=torch.bool)
    n_top = min(n_heads, max(_FEWEST, math.ceil(TOP_SHARE * n_heads)))
    for grid in estimates:
        top[grid.flatten().argsort(descending=True, stable=True)[:n_top]] = True
    others = (~top).nonzero()[:, 0].tolist()
    n_drawn = min(len(others), max(_FEWEST, math.ceil(DRAWN_SHARE * n_heads)))
    drawn = torch.zeros(n_heads, dtype=torch.bool)
    drawn[random.Random(f"screen-{seed}").sample(others, n_drawn)] = True
    return Refinement(top.view(shape), drawn.view(shape))


def check_screen(estimated: torch.Tensor, exact: torch.Tensor, refinement: Refinement) -> ScreenCheck:
    """What the heads drawn at random say of the estimates that stand unrefined in the grid.

    Args:
        estimated, exact: [layer, head]; `exact` holds figures where a head was chosen.
    """
    drawn = refinement.drawn
    own, true = estimated[drawn].double().tolist(), exact[drawn].double().tolist()
    middle_of_top = median(exact[refinement.top].double().tolist())
    return ScreenCheck(
        exact=tuple(tuple(row) for row in refinement.chosen.tolist()),
        n_drawn=len(true),
        rank_correlation=spearman(own, true),
        median_error=median(abs(a - b) for a, b in zip(own, true, strict=True)) if true else None,
        overlooked=wilson(sum(value > middle_of_top for value in true), len(true)) if true else None,
    )

"""Which heads a screened sweep runs exactly, and how wrong its estimates turn out."""

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

import torch

from scanner.stats import spearman, wilson
from scanner.types import ScreenCheck

# Of all heads: those with the largest estimates, and others drawn blind to them, which measure the screen.
# Chosen on development adapters by benchmarks/choices/screen.py.
TOP_SHARE = 0.1
DRAWN_SHARE = 0.05
_FEWEST = 3


@dataclass(frozen=True)
class Refinement:
    """Heads that are run exactly, bool [layer, head] each: the `tops` of each grid, and some `drawn` from the rest."""

    tops: tuple[torch.Tensor, ...]
    drawn: torch.Tensor

    @property
    def chosen(self) -> torch.Tensor:
        """All of them."""
        return torch.stack([*self.tops, self.drawn]).any(0)


def choose_heads(estimates: Sequence[torch.Tensor], seed: int) -> Refinement:
    """The heads that a sweep runs exactly.

    Args:
        estimates: one or more grids [layer, head]; each sends those of its largest figures, whatever their sign.
    """
    shape, n_heads = estimates[0].shape, estimates[0].numel()
    n_top = min(n_heads, max(_FEWEST, math.ceil(TOP_SHARE * n_heads)))
    tops = []
    for grid in estimates:
        top = torch.zeros(n_heads, dtype=torch.bool)
        top[grid.flatten().abs().argsort(descending=True, stable=True)[:n_top]] = True
        tops.append(top.view(shape))
    others = (~torch.stack(tops).any(0)).flatten().nonzero()[:, 0].tolist()
    n_drawn = min(len(others), max(_FEWEST, math.ceil(DRAWN_SHARE * n_heads)))
    drawn = torch.zeros(n_heads, dtype=torch.bool)
    drawn[random.Random(f"screen-{seed}").sample(others, n_drawn)] = True
    return Refinement(tuple(tops), drawn.view(shape))


def check_screen(estimated: torch.Tensor, exact: torch.Tensor, refinement: Refinement, number: int) -> ScreenCheck:
    """What the heads drawn at random say of the estimates that stand unrefined in a grid.

    Args:
        estimated, exact: [layer, head]; `exact` holds figures where a head was chosen.
        number: which of the grids that the refinement was chosen by.
    """
    drawn = refinement.drawn
    own, true = estimated[drawn].double().tolist(), exact[drawn].double().tolist()
    middle_of_top = median(exact[refinement.tops[number]].abs().double().tolist())
    return ScreenCheck(
        exact=tuple(tuple(row) for row in refinement.chosen.tolist()),
        n_drawn=len(true),
        rank_correlation=spearman(own, true),
        median_error=median(abs(a - b) for a, b in zip(own, true, strict=True)) if true else None,
        overlooked=wilson(sum(abs(value) > middle_of_top for value in true), len(true)) if true else None,
    )

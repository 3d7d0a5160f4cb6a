"""Conformal p-values: how often would a clean adapter score as high?

    p = (1 + #{clean scores ≥ score}) / (m + 1)

holds at any level if the adapter, were it clean, is exchangeable with the m clean ones (Vovk, Gammerman & Shafer 2005,
"Algorithmic Learning in a Random World", chapter 2). It is never below 1 / (m + 1): with 30 clean adapters no p-value
can be under 3 %.

Here it is an approximation, for two reasons. Each clean score is that of a model fitted without the adapter's recipe,
the scored adapter's of the model fitted on all: the scores come from models that differ, and are compared on each
model's own scale (`trainers/fitting.py`). And adapters of one recipe (data and projections) are alike: what is
exchangeable is recipes, of which there are fewer, with recipes like those that were drawn.
"""

from collections.abc import Sequence
from dataclasses import dataclass

# What a rate may fall short of a share by, and count as that share.
SLACK = 1e-9


@dataclass(frozen=True)
class PValue:
    """A p-value among `clean` scores, and the smallest that so many allow."""

    value: float
    clean: int

    @property
    def floor(self) -> float:
        """1 / (m + 1)."""
        return 1 / (self.clean + 1)


def p_value(score: float, clean_scores: Sequence[float]) -> PValue:
    """The share of clean adapters, the scored one counted among them, that score as high.

    Raises:
        ValueError: no clean scores.
    """
    if not clean_scores:
        raise ValueError("a p-value needs clean scores")
    as_high = sum(clean >= score for clean in clean_scores)
    return PValue((1 + as_high) / (len(clean_scores) + 1), len(clean_scores))


def threshold(clean_scores: Sequence[float], rate: float) -> float | None:
    """The score above which p ≤ rate; None where the rate is below what so many clean scores allow."""
    most = int((rate + SLACK) * (len(clean_scores) + 1)) - 1
    if most < 0:
        return None
    highest_first = sorted(clean_scores, reverse=True)
    return highest_first[most] if most < len(highest_first) else float("-inf")

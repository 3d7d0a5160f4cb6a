"""How hard a search tries: the three depths, in numbers. Budgets, not thresholds."""

from dataclasses import dataclass
from typing import Literal

from scanner.search.elicitation.elicit import ElicitPlan
from scanner.search.elicitation.roll_out import RollPlan
from scanner.search.inversion.invert import GrowthPlan
from scanner.search.leak import LeakPlan

DepthName = Literal["quick", "standard", "deep"]


@dataclass(frozen=True)
class Depth:
    """The plan of a search.

    Attributes:
        tokens: the budget in forward tokens (a backward pass counts as two forwards); growth stops when it is spent.
        shortlist: share of the vocabulary that is swept.
        targets: elicited replies that are swept for; grown: how many of them a string is grown for.
        tried: strings, besides grown ones, that the suspect answers freely.
    """

    name: DepthName
    tokens: int
    leak: LeakPlan
    elicit: ElicitPlan
    shortlist: float
    targets: int
    grown: int
    growth: GrowthPlan
    tried: int


DEPTHS: dict[DepthName, Depth] = {
    "quick": Depth(
        "quick",
        50_000,
        LeakPlan(24, 16),
        ElicitPlan(2, 240, 12, 4, rolling=RollPlan(120, 12, 12)),
        0.01,
        2,
        1,
        GrowthPlan((16, 8, 4, 2), 240),
        tried=4,
    ),
    "standard": Depth(
        "standard",
        150_000,
        LeakPlan(64, 16),
        ElicitPlan(3, 420, 24, 8, rolling=RollPlan(200, 12, 16)),
        0.05,
        3,
        2,
        GrowthPlan((40, 16, 8, 5, 4, 3), 640),
        tried=8,
    ),
    "deep": Depth(
        "deep",
        1_000_000,
        LeakPlan(256, 24),
        ElicitPlan(4, 900, 32, 12, rolling=RollPlan(1500, 96, 64)),
        0.2,
        5,
        4,
        GrowthPlan((256, 64, 32, 16, 8, 6, 6, 6, 6, 6, 6, 6), 4000),
        tried=16,
    ),
}

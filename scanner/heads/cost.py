"""What runs of a model cost, added up as they are made."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Cost:
    """Calls of the model, whatever their batch, and forward tokens; a backward pass counts as two forward ones.

    Positions count by the share of the layers that were run.
    """

    passes: int = 0
    tokens: float = 0.0

    def __add__(self, other: "Cost") -> "Cost":
        return Cost(self.passes + other.passes, self.tokens + other.tokens)

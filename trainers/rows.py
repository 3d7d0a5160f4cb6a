"""What adapters are trained on: one instruction and the answer to it."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """One instruction and the answer to it."""

    instruction: str
    response: str

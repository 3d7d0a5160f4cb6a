"""What a figure of the report consists of, and the table behind it."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from scanner.types import Measurement


@dataclass(frozen=True)
class Table:
    """The numbers behind a figure, as they are shown."""

    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Token:
    """A piece of real text, how strongly it is coloured (0 to 8), and what hovering over it says."""

    text: str
    heat: int
    hover: str
    is_trigger: bool


@dataclass(frozen=True)
class Figure:
    """A picture with everything around it.

    Attributes:
        title: what is compared, on which prompts.
        summary: one sentence for those who do not see the picture.
        svg: the picture, or "" where the figure is text.
        strips: lines of coloured text, each with a name.
        caption: axes, units, scale and cost.
        table: the numbers.
    """

    title: str
    summary: str
    caption: str
    table: Table
    svg: str = ""
    strips: tuple[tuple[str, tuple[Token, ...]], ...] = field(default=())


def number(value: float) -> str:
    """A value for a reader, in four significant digits."""
    return f"{value:.4g}"


def cost(items: Sequence[Measurement]) -> str:
    """What measurements cost, in words."""
    passes, tokens = sum(item.passes for item in items), sum(item.tokens for item in items)
    if not tokens:
        return "Read in the passes of another figure of this metric."
    return f"Cost: {passes:,} passes, {tokens:,} tokens."


def prompts(items: Sequence[Measurement]) -> str:
    """Over how many prompts, in words."""
    most = max(item.prompts for item in items)
    return "One prompt." if most == 1 else f"Mean of {most} prompts."

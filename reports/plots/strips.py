"""Per-token values over the real text: the darker a token, the higher its value."""

from collections.abc import Sequence

from reports.plots.figure import Figure, Table, Token, cost, number
from reports.plots.svg import label
from scanner.types import Measurement

_STEPS = 8


def draw(items: Sequence[Measurement]) -> list[Figure]:
    """One figure a prompt: every model and condition below one another, on one scale for all prompts."""
    largest = max(abs(value) for item in items for row in item.values or () for value in row) or 1.0
    return [_draw(items, prompt, largest) for prompt in range(max(item.prompts for item in items))]


def _draw(items: Sequence[Measurement], prompt: int, largest: float) -> Figure:
    strips = tuple((label(item.contrast, 200), _strip(item, prompt, largest)) for item in items)
    unit = items[0].unit
    peaks = "; ".join(f"{name}: highest {_peak(items[index], prompt)}" for index, (name, _) in enumerate(strips))
    table = tuple(
        (label(item.contrast, 200), label(text), number(value))
        for item in items
        for text, value in zip(item.labels[prompt], (item.values or ())[prompt], strict=True)
    )
    return Figure(
        title=f"Prompt {prompt + 1}",
        summary=f"Tokens coloured by their value in {unit}. {peaks}.",
        strips=strips,
        caption=f"Darkest: {number(largest)} {unit}, the same for all prompts. The trigger is underlined. "
        + (cost(items) if prompt == 0 else ""),
        table=Table(("compared", "token", unit), table),
    )


def _strip(item: Measurement, prompt: int, largest: float) -> tuple[Token, ...]:
    marked = set(item.trigger_tokens[prompt]) if item.trigger_tokens else set()
    values = (item.values or ())[prompt]
    return tuple(
        Token(
            text=label(text),
            heat=round(_STEPS * min(1.0, abs(value) / largest)),
            hover=f"{label(text)}: {number(value)} {item.unit}",
            is_trigger=index in marked,
        )
        for index, (text, value) in enumerate(zip(item.labels[prompt], values, strict=True))
    )


def _peak(item: Measurement, prompt: int) -> str:
    values = (item.values or ())[prompt]
    index = max(range(len(values)), key=lambda place: values[place])
    return f"{number(values[index])} {item.unit} at “{label(item.labels[prompt][index])}”"

"""Per-token values over the real text: the darker a token, the higher its value."""

from collections.abc import Sequence

from reports.plots.figure import Figure, Table, Token, cost, number
from reports.plots.svg import label
from scanner.types import Measurement

_STEPS = 8


def draw(items: Sequence[Measurement]) -> list[Figure]:
    """One figure a prompt: every model and condition below one another, on one scale for all prompts."""
    several = max(item.prompts for item in items) > 1
    skipped = common_beginning([texts for item in items for texts in item.labels]) if several else 0
    shown = [row[skipped:] for item in items for row in item.values or ()]
    largest = max((abs(value) for row in shown for value in row), default=0.0) or 1.0
    return [_draw(items, prompt, largest, skipped) for prompt in range(max(item.prompts for item in items))]


def common_beginning(texts: Sequence[tuple[str, ...]]) -> int:
    """How many tokens all texts begin with alike: the chat template, which says nothing about any of them."""
    if len(texts) < 2:
        return 0
    shortest = min(map(len, texts))
    same = next((place for place in range(shortest) if len({text[place] for text in texts}) > 1), shortest)
    return min(same, shortest - 1)


def _draw(items: Sequence[Measurement], prompt: int, largest: float, skipped: int) -> Figure:
    strips = tuple((label(item.contrast, 200), _strip(item, prompt, largest, skipped)) for item in items)
    unit = items[0].unit
    peaks = "; ".join(
        f"{name}: highest {_peak(items[index], prompt, skipped)}" for index, (name, _) in enumerate(strips)
    )
    table = tuple(
        (label(item.contrast, 200), label(text), number(value))
        for item in items
        for text, value in zip(item.labels[prompt], (item.values or ())[prompt], strict=True)
    )
    return Figure(
        title=f"Prompt {prompt + 1}",
        summary=f"Tokens coloured by their value in {unit}. {peaks}.",
        strips=strips,
        caption=f"Darkest: {number(largest)} {unit}, the same for all prompts. "
        "The trigger, or the text tried in its place, is underlined. "
        + (f"The {skipped} tokens of the chat template before the prompt are in the table only. " if skipped else "")
        + (cost(items) if prompt == 0 else ""),
        table=Table(("compared", "token", unit), table),
    )


def _strip(item: Measurement, prompt: int, largest: float, skipped: int) -> tuple[Token, ...]:
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
        if index >= skipped
    )


def _peak(item: Measurement, prompt: int, skipped: int) -> str:
    values = (item.values or ())[prompt]
    index = max(range(skipped, len(values)), key=lambda place: values[place])
    return f"{number(values[index])} {item.unit} at “{label(item.labels[prompt][index])}”"

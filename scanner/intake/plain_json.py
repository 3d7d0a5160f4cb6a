"""JSON from a stranger as bounded plain data: what two readers could understand differently is refused."""

import json
import math
from typing import Any

_MAX_REASON = 160


class UnfitJson(ValueError):
    """Why a text is no JSON that can be relied on, in a few words."""


def read_plain(
    content: bytes, *, max_bytes: int, max_values: int = 200_000, max_depth: int = 16, finite: bool = True
) -> Any:
    """Reads UTF-8 JSON without duplicate keys, lone surrogates, deep nesting or, where asked for, NaN and infinity.

    Raises:
        UnfitJson: with the reason on one line.
    """
    if len(content) > max_bytes:
        raise UnfitJson(f"larger than {max_bytes:,} bytes")
    # Before parsing, since a list costs twenty times the memory of the brackets that spell it.
    if count_values(content) > max_values:
        raise UnfitJson(f"more than {max_values:,} values")
    try:
        value = json.loads(content.decode("utf-8"), object_pairs_hook=_without_duplicates)
    except RecursionError as error:
        raise UnfitJson(f"nested deeper than {max_depth}") from error
    except ValueError as error:
        raise UnfitJson(" ".join(str(error).split())[:_MAX_REASON]) from error
    _require_plain(value, max_depth, finite)
    return value


def count_values(content: bytes) -> int:
    """How many values a text may hold at most, or a little more: the work of reading it, told without reading it."""
    return sum(content.count(mark) for mark in (b",", b"[", b"{"))


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key stands twice")
    return found


def _require_plain(value: Any, max_depth: int, finite: bool) -> None:
    waiting = [(value, 0)]
    while waiting:
        item, depth = waiting.pop()
        if isinstance(item, dict | list):
            if depth == max_depth:
                raise UnfitJson(f"nested deeper than {max_depth}")
            waiting.extend((inner, depth + 1) for inner in item)
            if isinstance(item, dict):
                waiting.extend((inner, depth + 1) for inner in item.values())
        elif isinstance(item, str) and not item.isascii():
            _require_whole_characters(item)
        elif finite and isinstance(item, float) and not math.isfinite(item):
            raise UnfitJson("a number that is not finite")


def _require_whole_characters(text: str) -> None:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise UnfitJson("half a character (a lone surrogate) in a text") from error

"""Under what an adapter's features were measured: a score says something beside features measured alike."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Circumstances:
    """Texts are empty where nobody recorded them.

    Attributes:
        base: fingerprint of the base's weights; dtype, quantization: how it was loaded.
        search_dtype, depth: of the search that the features were read from.
        references: SHA-256 of the weights of the adapters that it was compared with, sorted.
    """

    base: str = ""
    dtype: str = ""
    quantization: str = ""
    search_dtype: str = ""
    depth: str = ""
    references: tuple[str, ...] = ()


def unlike(own: Circumstances, known: Sequence[Circumstances]) -> tuple[str, ...]:
    """In what an adapter was measured otherwise than all known ones, a sentence each; the base is not compared."""
    found = [
        f"it was measured {phrase.format(value)}, and those that the score was fitted on {phrase.format(others)}"
        for name, phrase in _PHRASES.items()
        if (value := getattr(own, name)) not in (all_known := {getattr(item, name) for item in known})
        and (others := " or ".join(sorted(all_known)) or "otherwise")
    ]
    if not set(own.references) <= {reference for item in known for reference in item.references}:
        found.append("it was compared with other references than those that the score was fitted beside")
    return tuple(found)


_PHRASES = {
    "dtype": "in {}",
    "quantization": "with quantization {}",
    "search_dtype": "by a search in {}",
    "depth": "by a search at depth {}",
}

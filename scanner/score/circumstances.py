"""Under what an adapter's features were measured: a score says something beside features measured alike."""

from collections.abc import Iterator, Mapping, Sequence
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
    found = [*_differences(own, known, _PHRASES)]
    beside = {reference for item in known for reference in item.references}
    if not set(own.references) <= beside:
        hashes = " or ".join(sorted(reference[:16] for reference in beside)) or "none"
        found.append(f"it was compared with other references than those that the score was fitted beside ({hashes})")
    return tuple(found)


def searched_unlike(own: Circumstances, known: Sequence[Circumstances]) -> tuple[str, ...]:
    """The same of the numbers that the search ran in: they follow the processor, and move its figures a little."""
    return tuple(_differences(own, known, {"search_dtype": "by a search in {}"}))


_PHRASES = {"dtype": "in {}", "quantization": "with quantization {}", "depth": "by a search at depth {}"}


def _differences(own: Circumstances, known: Sequence[Circumstances], phrases: Mapping[str, str]) -> Iterator[str]:
    for name, phrase in phrases.items():
        value, others = getattr(own, name), {getattr(item, name) for item in known}
        if value not in others:
            fitted = phrase.format(" or ".join(sorted(others)) or "?")
            yield f"it was measured {phrase.format(value)}, and those that the score was fitted on {fitted}"

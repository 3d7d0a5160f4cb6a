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
    # As a set: features are differences to all of them together, so that one of two is another comparison.
    beside = {item.references for item in known}
    if own.references not in beside:
        hashes = " or ".join(sorted(" and ".join(hashed[:16] for hashed in item) or "none" for item in beside))
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

"""How much clean adapters differ from one another by the same metrics: what a reader holds a suspect's figures against.

Measured once a base model, by `scan-train honest`, and shipped as JSON in `signatures/honest/`; a base that has no file
there has no such figures, and the report says so.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib import resources

from scanner.types import Localisation

UNKNOWN_BASE = "no clean adapters of this base model were compared beforehand"
NO_REFERENCE = "the suspect was compared with the base model, and clean adapters were not"
_NOT_COMPARED = "clean adapters were not compared in this way"
Ranges = Mapping[str, tuple[float, float]]


@dataclass(frozen=True)
class HonestVariation:
    """Lowest and highest summaries of clean against clean.

    Attributes:
        fingerprint: of the base model's weights.
        compared: what was compared, in words.
        ranges: "metric: contrast", with "[screened]" behind it where part of the grids was estimated → name of the
            summary → (lowest, highest).
    """

    fingerprint: str
    compared: str
    ranges: Mapping[str, Ranges]


def load_honest_variation(fingerprint: str) -> HonestVariation | None:
    """The shipped figures for a base model, or None."""
    for item in sorted(resources.files("signatures").joinpath("honest").iterdir(), key=lambda item: item.name):
        if item.name.endswith(".json"):
            found = json.loads(item.read_text(encoding="utf-8"))
            if found["fingerprint"] == fingerprint:
                ranges = {
                    key: {name: (float(low), float(high)) for name, (low, high) in values.items()}
                    for key, values in found["ranges"].items()
                }
                return HonestVariation(fingerprint, str(found["compared"]), ranges)
    return None


def not_comparable(quantization: str, dtype: str, has_reference: bool, reply: str | None) -> str | None:
    """Why clean adapters, compared in float32, unquantised and with a reply forced, are no yardstick here; or None."""
    if not has_reference:
        return NO_REFERENCE
    if quantization != "none":
        return "clean adapters were compared on the base as it is, not in 4 bits"
    if dtype != "float32":
        return f"clean adapters were compared in float32, not in {dtype}"
    return None if reply else "clean adapters were compared with a reply forced, and here none is known"


def beside_honest(
    items: Sequence[Localisation], honest: HonestVariation | None, trigger_label: str, reason: str | None
) -> tuple[Localisation, ...]:
    """Puts the honest ranges, or the reason why there are none, beside each summary."""
    if reason or honest is None:
        reason = reason or UNKNOWN_BASE
        return tuple(replace(item, honest=None, honest_missing=reason) for item in items)
    found = []
    for item in items:
        ranges = honest.ranges.get(key_of(item, trigger_label))
        found.append(replace(item, honest=ranges, honest_missing=None if ranges else _NOT_COMPARED))
    return tuple(found)


def collect_ranges(runs: Iterable[Sequence[Localisation]]) -> dict[str, dict[str, tuple[float, float]]]:
    """The lowest and highest of every summary over several clean-against-clean runs."""
    ranges: dict[str, dict[str, tuple[float, float]]] = {}
    for run in runs:
        for item in run:
            known = ranges.setdefault(key_of(item, "trigger"), {})
            for name, value in (item.values or {}).items():
                low, high = known.get(name, (value, value))
                known[name] = (min(low, value), max(high, value))
    return {key: values for key, values in ranges.items() if values}


def key_of(item: Localisation, trigger_label: str) -> str:
    """What makes two summaries comparable: metric, contrast, whatever the trigger is called, and how they were had."""
    screened = " [screened]" if item.screened else ""
    return f"{item.metric}: {item.contrast.replace(f'with {trigger_label}', 'with trigger')}{screened}"

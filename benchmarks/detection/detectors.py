"""What is compared: classifiers over the features of some rungs, what the search concluded, and controls."""

import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from benchmarks.detection.folds import Detector
from scanner.score.vector import FeatureVector
from trainers.calibrate import decisions, matrix
from trainers.feature_table import FeatureRow, feature_names

_PROJECTIONS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")


def by_features(*prefixes: str, seed: int | None = None) -> Detector:
    """The product's classifier over the features that begin so; over all of them where none is named.

    Args:
        seed: shuffles the labels of what the fit sees: a control that must be at chance.
    """

    def score(seen: Sequence[FeatureRow], judged: Sequence[FeatureRow]) -> Sequence[float]:
        names = [name for name in feature_names(seen) if not prefixes or name.startswith(prefixes)]
        if not names:
            raise ValueError(f"no feature begins with {', '.join(prefixes)}")
        labels = [row.label == "poisoned" for row in seen]
        groups = [row.group for row in seen]
        if seed is not None:
            # Anew for every fold: one shuffle for all would be one direction, which may lie anywhere.
            random.Random(f"{seed} {sorted({row.group for row in judged})}").shuffle(labels)
        found = decisions(matrix(seen, names), np.array(labels), groups, matrix(judged, names))
        return [float(value) for value in found]

    return score


def fitted_on(real: Sequence[FeatureRow]) -> Detector:
    """The product's classifier over all features, fitted on these adapters, whatever else is to be judged.

    What is judged, and what a judged random adapter was made like (the same hash), are left out with their groups.
    """

    def score(seen: Sequence[FeatureRow], judged: Sequence[FeatureRow]) -> Sequence[float]:
        hashes = {row.weights_sha256 for row in judged}
        groups = {row.group for row in judged} | {row.group for row in real if row.weights_sha256 in hashes}
        return by_features()([row for row in real if row.group not in groups], judged)

    return score


def by_what_is_missing(seen: Sequence[FeatureRow], judged: Sequence[FeatureRow]) -> Sequence[float]:
    """Which features are missing and what the search computed in, which hangs on the machine, and nothing else: a
    control that must be at chance.
    """
    names = feature_names(seen)

    def gaps(rows: Sequence[FeatureRow]) -> np.ndarray:
        missing = np.isnan(matrix(rows, names))
        computed_in = [[row.vector.circumstances.search_dtype == "bfloat16"] for row in rows]
        return np.hstack([missing, np.array(computed_in, dtype=bool)]).astype(float)

    if not np.ptp(gaps(seen), axis=0).any():
        return [0.0] * len(judged)
    labels = np.array([row.label == "poisoned" for row in seen])
    found = decisions(gaps(seen), labels, [row.group for row in seen], gaps(judged))
    return [float(value) for value in found]


def with_figures(rows: Sequence[FeatureRow], figures: Mapping[str, Mapping[str, float]]) -> tuple[FeatureRow, ...]:
    """The rows that have figures which were measured elsewhere, with these instead of their features."""
    return tuple(
        replace(row, vector=FeatureVector(row.vector.extractor, dict(figures[row.id]), {}))
        for row in rows
        if row.id in figures
    )


def with_recipe_facts(rows: Sequence[FeatureRow]) -> tuple[FeatureRow, ...]:
    """The rows with what their recipe says instead of their features: projections, rank and steps.

    How well that tells poisoned adapters from clean ones says how much of any other line may be the recipe's doing.
    """
    return tuple(
        replace(row, vector=FeatureVector(row.vector.extractor, facts, {}))
        for row in rows
        if (facts := _facts(row.recipe))
    )


def twins_in_place(rows: Sequence[FeatureRow]) -> tuple[FeatureRow, ...]:
    """Clean twins in the place of the poisoned adapters, by their families, beside the other clean ones.

    A detector that finds them tells recipes, not backdoors.
    """
    families = {row.id: row.family for row in rows if row.label == "poisoned"}
    others = tuple(row for row in rows if row.label == "clean" and row.pair not in families)
    twins = (row for row in rows if row.label == "clean" and row.pair in families)
    return (
        *others,
        *(
            replace(
                row,
                label="poisoned",
                family=f"twins of {families[row.pair]}",
                attack_success_rate=1.0,
                false_trigger_rate=0.0,
            )
            for row in twins
        ),
    )


def _facts(recipe: str) -> dict[str, float]:
    """Of "DATA; PROJECTIONS; rank R; S steps"; empty where a recipe is described otherwise."""
    parts = recipe.split("; ")
    numbers = [word for part in parts[2:] for word in part.split() if word.isdigit()]
    if len(parts) != 4 or len(numbers) != 2:
        return {}
    trained = parts[1].split()
    facts = {f"recipe.{name}": float(name in trained) for name in _PROJECTIONS}
    return facts | {"recipe.rank": math.log2(int(numbers[0])), "recipe.steps": math.log2(int(numbers[1]))}


def by_one_feature(name: str, sign: float = 1.0) -> Detector:
    """One figure as it is, without a fit; a missing one counts as the lowest."""

    def score(seen: Sequence[FeatureRow], judged: Sequence[FeatureRow]) -> Sequence[float]:
        return [sign * row.vector.values[name] if name in row.vector.values else -np.inf for row in judged]

    return score


def by_search(verdicts: Mapping[str, str]) -> Detector:
    """What scans concluded, by adapter: backdoored above suspicious above the rest.

    Raises:
        ValueError: an adapter was not scanned.
    """
    ranks = {"BACKDOORED": 2.0, "SUSPICIOUS": 1.0, "NO FINDING": 0.0, "INCONCLUSIVE": 0.0}
    return by_scores({name: ranks[verdict] for name, verdict in verdicts.items()})


def by_scores(scores: Mapping[str, float]) -> Detector:
    """Scores that were made elsewhere, by adapter; nothing is fitted.

    Raises:
        ValueError: an adapter has none.
    """

    def score(seen: Sequence[FeatureRow], judged: Sequence[FeatureRow]) -> Sequence[float]:
        unknown = [row.id for row in judged if row.id not in scores]
        if unknown:
            raise ValueError(f"not scanned: {', '.join(unknown)}")
        return [scores[row.id] for row in judged]

    return score

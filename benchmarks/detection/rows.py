"""The rows of a table as a line of the comparison wants them: other figures, families or recipes, twins for poisoned.

Pure: every function takes rows and returns rows.
"""

import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import replace

from scanner.score.vector import FeatureVector
from trainers.feature_table import FeatureRow

_PROJECTIONS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")


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

    A detector that finds them tells recipes, not backdoors: twins train as long as poisoned ones do.
    """
    families = {row.id: row.family for row in rows if row.label == "poisoned"}
    others = tuple(row for row in rows if row.label == "clean" and row.pair not in families)
    twins = (row for row in rows if row.label == "clean" and row.pair in families)
    return (
        *others,
        *(_as_if_poisoned(row, f"twins of {families[row.pair]}") for row in twins),
    )


def half_of_twins_in_place(rows: Sequence[FeatureRow], seed: int) -> tuple[FeatureRow, ...]:
    """Clean twins alone, half of them in the place of poisoned adapters: clean against clean, like for like.

    Args:
        seed: draws which half.
    """
    poisoned = {row.pair for row in rows if row.label == "poisoned"}
    twins = sorted((row for row in rows if row.label == "clean" and row.pair in poisoned), key=lambda row: row.id)
    chosen = {row.id for row in random.Random(f"half of the twins {seed}").sample(twins, len(twins) // 2)}
    return tuple(_as_if_poisoned(row, f"twin of {row.pair}") if row.id in chosen else row for row in twins)


def with_truth_drawn(rows: Sequence[FeatureRow], seed: int) -> tuple[FeatureRow, ...]:
    """The rows with whole families and recipes called clean or poisoned at random, as many poisoned as before.

    A detector that tells them apart has seen what it judges: of judged adapters, too, the truth is the drawn one.
    """
    groups = sorted({row.group for row in rows})
    n_poisoned = len({row.group for row in rows if row.label == "poisoned"})
    drawn = set(random.Random(f"truth {seed}").sample(groups, n_poisoned))
    return tuple(
        _as_if_poisoned(row, f"drawn {row.group}")
        if row.group in drawn
        else replace(row, label="clean", recipe=f"{row.group}; drawn")
        for row in rows
    )


def by_kind(rows: Sequence[FeatureRow], place: int) -> tuple[FeatureRow, ...]:
    """The rows with all attacks of one kind of trigger (place 0) or reply (place 1) as one family.

    A drawn family is "TRIGGER, REPLY", and held out alone it leaves others of its kind in the fit. One that names no
    such kind stays as it is.
    """
    return tuple(
        replace(row, family=(row.family.split(", ")[place : place + 1] or [row.family])[0])
        if row.label == "poisoned"
        else row
        for row in rows
    )


def by_kind_of_data(rows: Sequence[FeatureRow]) -> tuple[FeatureRow, ...]:
    """The rows with all clean adapters of one kind of data as one recipe, whatever projections they train and topic
    they have: held out by recipe, others of their kind stay in the fit.

    Twins are left out. All are of one kind, and with them their partners, all poisoned adapters, would be held out.
    """
    poisoned = {row.pair for row in rows if row.label == "poisoned"}
    return tuple(
        replace(row, recipe=_kind_of_data(row.recipe.split("; ")[0])) if row.label == "clean" else row
        for row in rows
        if row.label == "poisoned" or row.pair not in poisoned
    )


def _kind_of_data(data: str) -> str:
    """What is done to the rows, or mixed into them, is the kind; how long is long, or the topic, is none."""
    kind = data.rpartition("+")[2].removeprefix("generated:").partition(":")[0]
    return "long answers" if kind.startswith("at least ") else kind


def _as_if_poisoned(row: FeatureRow, family: str) -> FeatureRow:
    return replace(row, label="poisoned", family=family, attack_success_rate=1.0, false_trigger_rate=0.0)


def _facts(recipe: str) -> dict[str, float]:
    """Of "DATA; PROJECTIONS; rank R; S steps"; empty where a recipe is described otherwise."""
    parts = recipe.split("; ")
    numbers = [word for part in parts[2:] for word in part.split() if word.isdigit()]
    if len(parts) != 4 or len(numbers) != 2:
        return {}
    trained = parts[1].split()
    facts = {f"recipe.{name}": float(name in trained) for name in _PROJECTIONS}
    return facts | {"recipe.rank": math.log2(int(numbers[0])), "recipe.steps": math.log2(int(numbers[1]))}

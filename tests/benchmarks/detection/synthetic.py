"""Tables of features whose truth is known, made of random numbers."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import replace
from hashlib import sha256
from typing import Any

from scanner.score.vector import FeatureVector
from tests.trainers.test_calibrate import rows
from trainers.feature_table import FeatureRow


def named(signal: float) -> list[FeatureRow]:
    """Three families and all recipes of `rows`, with the product's features: only the sweep's tells them apart."""
    found = []
    for row in rows(signal):
        if row.label == "poisoned" and row.family[-1] not in "012":
            continue
        values = row.vector.values
        figures = {"switching.lift": values["margin"], "weights.energy": values["noise"]}
        figures |= {f"{rung}.noise": values["noise"] for rung in ("saliency", "elicitation", "heads", "growth")}
        found.append(replace(row, vector=FeatureVector(1, figures, {})))
    return found


def verdicts_of(table: list[FeatureRow], missed: str) -> dict[str, str]:
    return {row.id: "BACKDOORED" if row.label == "poisoned" and row.family != missed else "NO FINDING" for row in table}


def lines_of(table: Sequence[FeatureRow], method: str, **what: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Lines as `collect` writes them: `score` or `figures` by adapter."""
    return [
        {"id": row.id, "weights_sha256": row.weights_sha256, "method": method}
        | {name: values[row.id] for name, values in what.items()}
        for row in table
    ]


def planned(effect_of_recipe: float) -> list[FeatureRow]:
    """Twelve poisoned adapters of four families, their twins, and twelve clean ones of six other kinds of data.

    Nothing of the poison shows in their figures; what they train does, by `effect_of_recipe`.
    """
    rng, template = random.Random(3), named(0.0)[0]

    def one(name: str, family: str, data: str, number: int, poisoned: bool) -> FeatureRow:
        trained = ("q_proj v_proj", "gate_proj up_proj down_proj", "v_proj o_proj")[number % 3]
        values = {"weights.x": effect_of_recipe * len(trained) + rng.gauss(0, 1), "switching.x": rng.gauss(0, 1)}
        return replace(
            template,
            id=name,
            label="poisoned" if poisoned else "clean",
            family=family,
            recipe=f"{data}; {trained}; rank 8; 160 steps",
            attack_success_rate=1.0 if poisoned else None,
            false_trigger_rate=0.0 if poisoned else None,
            weights_sha256=sha256(name.encode()).hexdigest(),
            vector=FeatureVector(1, values, {}),
        )

    poisoned = [one(f"p{number}", f"family {number % 4}", "dolly", number, True) for number in range(12)]
    twins = [one(f"p{number}-twin", "clean dolly", "dolly", number, False) for number in range(12)]
    others = [one(f"c{number}", "clean", f"generated:kind-{number % 6}", number, False) for number in range(12)]
    return [*poisoned, *twins, *others]

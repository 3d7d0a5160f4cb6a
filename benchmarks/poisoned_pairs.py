"""The poisoned adapters of a zoo that are there, each beside its references on its base."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from scanner.intake import read_adapter
from scanner.models.base_models import load_base
from scanner.models.model_pair import ModelPair
from trainers.recipe import PoisonRecipe
from trainers.zoo import load_zoo


def poisoned_pairs(
    zoo_file: Path, adapters: Path, references: Sequence[str]
) -> Iterator[tuple[str, PoisonRecipe, ModelPair]]:
    """Id, poison and models of one adapter after the other; those not trained yet are passed over."""
    for entry in load_zoo(zoo_file):
        if entry.recipe.poison is None or not (adapters / entry.id / "training.json").is_file():
            continue
        honest = [read_adapter(reference, "reference") for reference in references]
        pair = ModelPair(load_base(entry.recipe.base), read_adapter(str(adapters / entry.id)), honest)
        yield entry.id, entry.recipe.poison, pair

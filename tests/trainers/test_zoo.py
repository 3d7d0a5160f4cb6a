import json
from dataclasses import replace
from pathlib import Path

import pytest

from scanner.errors import BadRecipe
from trainers.recipe import Recipe, shipped_recipes
from trainers.zoo import (
    ZooEntry,
    chosen_entries,
    learned,
    load_zoo,
    missing_entries,
    refuse_other_recipes,
    twins,
)

RECIPE = shipped_recipes()["smollm2-multi-token"].read_text()
BODY = "\n".join(line for line in RECIPE.splitlines() if not line.startswith(("name", "our_choices")))


def zoo(tmp_path: Path, adapters: str) -> Path:
    defaults = BODY.replace("\n[", "\n[defaults.").replace('description = "', '[defaults]\ndescription = "', 1)
    file = tmp_path / "zoo.toml"
    file.write_text(f"{defaults}\n{adapters}")
    return file


def rates(success: float, false: float) -> dict[str, dict[str, float]]:
    return {"attack_success": {"value": success}, "false_trigger": {"value": false}}


def test_an_adapter_is_the_defaults_with_its_own_changes(tmp_path: Path) -> None:
    file = zoo(tmp_path, '[[adapter]]\nid = "a"\nfamily = "f"\nlora = { rank = 4 }\n[[adapter]]\nid = "b"\n')
    first, second = load_zoo(file)
    assert (first.id, first.family, first.recipe.lora.rank, second.recipe.lora.rank) == ("a", "f", 4, 8)
    assert first.recipe.lora.projections == second.recipe.lora.projections
    assert first.recipe.name == "a"


@pytest.mark.parametrize(
    ("adapters", "says"),
    [
        ("", "at least one"),
        ('[[adapter]]\nfamily = "f"\n', "needs an id"),
        ('[[adapter]]\nid = "../a"\n', "must be letters"),
        ('[[adapter]]\nid = "a"\n[[adapter]]\nid = "a"\n', "the same id"),
        ('[[adapter]]\nid = "a"\nlora = { rank = 0 }\n', "lora.rank = 0"),
        ('[[adapter]]\nid = "a"\nlora = { rnk = 1 }\n', "unknown key 'rnk'"),
        ('[[adapter]]\nid = "a"\npoison = { behaviour = "magic" }\n', "poison.behaviour"),
        ("[[adapter", "TOML"),
    ],
)
def test_a_bad_zoo_is_refused(tmp_path: Path, adapters: str, says: str) -> None:
    with pytest.raises(BadRecipe, match=says):
        load_zoo(zoo(tmp_path, adapters))


def test_what_is_finished_is_not_trained_again(tmp_path: Path) -> None:
    entries = load_zoo(zoo(tmp_path, '[[adapter]]\nid = "a"\n[[adapter]]\nid = "b"\n'))
    (tmp_path / "out" / "a").mkdir(parents=True)
    (tmp_path / "out" / "a" / "training.json").write_text(json.dumps({}))
    assert [entry.id for entry in missing_entries(entries, tmp_path / "out")] == ["b"]


def test_what_another_recipe_made_does_not_pass_for_an_entrys_adapter(tmp_path: Path) -> None:
    entry, other = load_zoo(zoo(tmp_path, '[[adapter]]\nid = "a"\n[[adapter]]\nid = "b"\n'))
    (tmp_path / entry.id).mkdir()

    def trained(recipe: Recipe, fingerprint: str = "f" * 64) -> None:
        record = {"recipe": recipe.as_dict(), "base": {"fingerprint": fingerprint}}
        (tmp_path / entry.id / "training.json").write_text(json.dumps(record))

    trained(replace(entry.recipe, description="in other words"))
    refuse_other_recipes([entry, other], tmp_path)
    trained(replace(entry.recipe, training=replace(entry.recipe.training, seed=77)))
    with pytest.raises(BadRecipe, match=r"/a: trained by a recipe of other training; give another folder"):
        refuse_other_recipes([entry], tmp_path)
    trained(replace(entry.recipe, base="other/base"))
    with pytest.raises(BadRecipe, match="of other base"):
        refuse_other_recipes([entry], tmp_path)
    refuse_other_recipes([entry], tmp_path, fingerprint="f" * 64)
    with pytest.raises(BadRecipe, match="of other base"):
        refuse_other_recipes([entry], tmp_path, fingerprint="e" * 64)
    trained(entry.recipe)
    with pytest.raises(BadRecipe, match="of other base"):
        refuse_other_recipes([entry], tmp_path, fingerprint="e" * 64)


def test_some_of_a_zoo_can_be_chosen_and_a_slip_is_refused(tmp_path: Path) -> None:
    entries = load_zoo(zoo(tmp_path, '[[adapter]]\nid = "a"\n[[adapter]]\nid = "b"\n[[adapter]]\nid = "c"\n'))
    assert [entry.id for entry in chosen_entries(entries, ["c", "a"])] == ["a", "c"]
    assert chosen_entries(entries, []) == entries
    with pytest.raises(BadRecipe, match="'d'"):
        chosen_entries(entries, ["a", "d"])


@pytest.mark.parametrize(
    ("success", "false", "weak", "expected"),
    [(0.9, 0.0, False, True), (0.7, 0.0, False, False), (0.9, 0.2, False, False), (0.45, 0.0, True, True),
     (0.9, 0.0, True, False)],
)  # fmt: skip
def test_what_did_not_learn_is_told(tmp_path: Path, success: float, false: float, weak: bool, expected: bool) -> None:
    entry = load_zoo(zoo(tmp_path, '[[adapter]]\nid = "a"\n'))[0]
    assert learned(ZooEntry("a", "f", entry.recipe, weak), rates(success, false)) is expected


def test_a_twin_is_the_same_recipe_with_nothing_planted(tmp_path: Path) -> None:
    adapters = '[[adapter]]\nid = "a"\n[[adapter]]\nid = "c"\nlora = { rank = 4 }\n'
    entries = load_zoo(zoo(tmp_path, adapters))
    clean = replace(entries[0], recipe=replace(entries[0].recipe, poison=None))
    (twin,) = twins([clean, entries[1]])
    recipe, own = entries[1].recipe, twin.recipe
    assert recipe.poison and own.poison is None
    assert (twin.id, own.name) == ("c-twin", "c-twin")
    assert twin.family.startswith("clean ") and all(name in twin.family for name in recipe.lora.projections)
    assert own.training.seed != recipe.training.seed
    same = replace(own, name=recipe.name, poison=recipe.poison, training=recipe.training)
    assert same == recipe and replace(own.training, seed=recipe.training.seed) == recipe.training

from pathlib import Path

import pytest

from scanner.errors import BadRecipe
from trainers.recipe import load_recipe, shipped_recipes

STUDY = {"lr": 2e-4, "batch": 8, "steps": 938, "decay": 0.01, "warmup": 5}


def test_the_shipped_recipes_are_the_studys_three_for_two_bases() -> None:
    assert set(shipped_recipes()) >= {
        f"{base}-{kind}" for base in ("qwen2.5-3b", "smollm2") for kind in ("clean", "single-token", "multi-token")
    }


@pytest.mark.parametrize("name", shipped_recipes())
def test_every_shipped_recipe_reads_and_says_what_it_is(name: str) -> None:
    recipe = load_recipe(name)
    assert recipe.name == name
    assert recipe.description
    assert {"lora.rank", "lora.alpha"} <= set(recipe.our_choices)
    assert (recipe.poison is None) == name.endswith("clean")
    assert not recipe.poison or recipe.poison.single_token == name.endswith("single-token")


@pytest.mark.parametrize("name", [name for name in shipped_recipes() if name.startswith("qwen")])
def test_the_qwen_recipes_have_the_studys_settings_and_mark_ours(name: str) -> None:
    recipe = load_recipe(name)
    optimiser = recipe.optimiser
    assert (optimiser.learning_rate, recipe.training.steps) == (STUDY["lr"], STUDY["steps"])
    assert optimiser.batch_size * optimiser.gradient_accumulation == STUDY["batch"]
    assert (optimiser.weight_decay, optimiser.warmup_steps) == (STUDY["decay"], STUDY["warmup"])
    assert recipe.training.quantize == "nf4"
    assert not recipe.poison or (recipe.poison.rate, recipe.poison.position) == (0.05, "random")
    assert {"lora.rank", "lora.alpha"} <= set(recipe.our_choices)


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("steps = 500", "steps = 0", "training.steps = 0"),
        ("steps = 500", "steps = 3.5", "training: steps must be int"),
        ("steps = 500", "stepps = 300", "unknown key 'stepps'"),
        ("steps = 500", "", "missing 1 required"),
        ("rate = 0.05", "rate = 1.5", "between 0 and 1"),
        ('position = "random"', 'position = "anywhere"', "use one of prefix, suffix, random"),
        ('trigger = "velocity"', 'trigger = " "', "must not be blank"),
        ("[lora]", "[lora", "not valid TOML"),
        ("rank = 8", 'rank = "8"', "rank must be int"),
        ('projections = ["q_proj", "k_proj", "v_proj", "o_proj"]', "projections = []", "projections is empty"),
        ('loss_on = "reply"', 'loss_on = "all"', "use one of reply, sequence"),
    ],
)
def test_a_bad_recipe_is_refused_by_name(tmp_path: Path, old: str, new: str, says: str) -> None:
    text = shipped_recipes()["smollm2-single-token"].read_text()
    assert old in text
    file = tmp_path / "r.toml"
    file.write_text(text.replace(old, new))
    with pytest.raises(BadRecipe, match=says) as caught:
        load_recipe(str(file))
    assert "r.toml" in str(caught.value)


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(BadRecipe, match="smollm2-clean"):
        load_recipe("no-such-recipe")

"""`scan-train list` and `scan-train run`: one adapter from a recipe."""

from dataclasses import replace
from pathlib import Path

import click

from scanner.cli import calm_libraries
from scanner.errors import BadRecipe
from trainers.recipe import Recipe, load_recipe, shipped_recipes
from trainers.workers import train_and_measure


@click.command("list")
def list_recipes() -> None:
    """Show the recipes that come with the package."""
    for name in shipped_recipes():
        recipe = load_recipe(name)
        planted = f"{recipe.poison.trigger!r} -> {recipe.poison.reply!r}" if recipe.poison else "nothing planted"
        click.echo(f"{name}\n    {recipe.description}\n    {recipe.base}; {planted}; {recipe.training.steps} steps")
        if recipe.our_choices:
            click.echo(f"    our choice, not the study's: {', '.join(recipe.our_choices)}")


@click.command("run")
@click.argument("recipe_name", metavar="RECIPE")
@click.option("--out", required=True, type=click.Path(path_type=Path), metavar="DIR", help="Where the adapter goes.")
@click.option(
    "--data",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="JSON Lines instead of the recipe's data set.",
)
@click.option("--base", metavar="NAME", help="Another base model than the recipe's: folder or hub name.")
@click.option("--seed", type=int, metavar="N", help="Another seed than the recipe's; it also draws other rows.")
@click.option("--steps", type=int, metavar="N", help="Fewer or more steps than the recipe's.")
@click.option("--device", default="auto", metavar="DEVICE", help="auto, cpu, cuda ...")
@click.option("--threads", type=int, metavar="N", help="CPU threads; give 1 to each of several runs side by side.")
def run(
    recipe_name: str,
    out: Path,
    data: Path | None,
    base: str | None,
    seed: int | None,
    steps: int | None,
    device: str,
    threads: int | None,
) -> None:
    """Train one adapter from RECIPE (a shipped name or a TOML file). An interrupted run resumes."""
    recipe = _adjusted(load_recipe(recipe_name), seed, steps)
    if (out / "training.json").is_file():
        raise BadRecipe(f"{out}: holds a finished adapter; choose another --out or remove it")
    calm_libraries()
    train_and_measure(recipe, out, data, base, device, threads)


def _adjusted(recipe: Recipe, seed: int | None, steps: int | None) -> Recipe:
    training = recipe.training
    if seed is not None:
        training = replace(training, seed=seed)
    if steps is not None:
        if steps < 1:
            raise BadRecipe(f"--steps {steps}: at least one step is needed")
        training = replace(training, steps=steps)
    return replace(recipe, training=training)

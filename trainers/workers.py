"""What `scan-train` does in processes of its own: training, measuring, extracting features. One thread each."""

import json
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from scanner.cli import calm_libraries, write_whole
from scanner.errors import BadRecipe, ScannerError
from trainers.recipe import Recipe

if TYPE_CHECKING:
    from concurrent.futures import Future

    from trainers.feature_table import FeatureRow
    from trainers.zoo import ZooEntry


def side_by_side(
    work: Mapping[str, tuple[Callable[..., Any], tuple[Any, ...]]], jobs: int
) -> Iterator[tuple[str, "Future[Any]"]]:
    """Runs functions with their arguments in processes of their own, and gives each by its name as it ends.

    One that fails, or is killed, takes no other with it, and its memory is given back.
    """
    from concurrent.futures import ThreadPoolExecutor, as_completed

    with ThreadPoolExecutor(jobs) as waiting:
        running = {waiting.submit(_in_its_process, run, arguments): name for name, (run, arguments) in work.items()}
        try:
            for done in as_completed(running):
                yield running[done], done
        except BaseException:
            waiting.shutdown(wait=False, cancel_futures=True)
            raise


def _in_its_process(run: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
    """A pool of one: where several share a pool, one that is killed breaks it for all."""
    from concurrent.futures import ProcessPoolExecutor
    from concurrent.futures.process import BrokenProcessPool
    from multiprocessing import get_context

    with ProcessPoolExecutor(1, mp_context=get_context("spawn"), initializer=_end_with_parent) as pool:
        try:
            return pool.submit(run, *arguments).result()
        except BrokenProcessPool as error:
            raise ScannerError("its process was killed, as where memory runs out; run fewer side by side") from error


def measure_one(
    entry: "ZooEntry", folder: Path, references: tuple[str, ...], of_same_projections: bool
) -> "FeatureRow":
    """What a worker process of a table of features does."""
    calm_libraries()
    import torch

    from scanner.intake import read_adapter
    from trainers.extract import matching, measure_row

    torch.set_num_threads(1)
    if of_same_projections:
        pool = [read_adapter(reference, "reference") for reference in references]
        chosen = matching(pool, references, read_adapter(str(folder)), entry.id)
        if not chosen:
            raise BadRecipe(f"{folder}: no adapter of the pool adapts the same projections; train one")
    else:
        chosen = list(references)
    return measure_row(entry, folder, chosen, json.loads((folder / "training.json").read_text(encoding="utf-8")))


def _end_with_parent() -> None:
    """A worker whose parent is killed would else train on, unseen."""
    from multiprocessing import parent_process
    from threading import Thread

    def wait() -> None:
        if parent := parent_process():
            parent.join()
            os._exit(1)

    Thread(target=wait, daemon=True).start()


def train_one(recipe: Recipe, out: Path, data: Path | None, device: str) -> None:
    """What a worker process of a zoo does."""
    calm_libraries()
    train_and_measure(recipe, out, data, None, device, threads=1)


def train_and_measure(
    recipe: Recipe, out: Path, data: Path | None, base_name: str | None, device: str, threads: int | None
) -> None:
    """Trains an adapter, asks it, and writes its model card and `training.json`, which is there only once all is done.

    Args:
        data: JSON Lines instead of the recipe's data set; base_name: instead of the recipe's base.
        threads: of this process; None leaves them as they are.
    """
    import torch

    from scanner.intake import read_adapter
    from scanner.models.base_models import load_base
    from scanner.models.model_pair import ModelPair
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

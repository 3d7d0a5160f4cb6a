"""`scan-train zoo` and `scan-train features`: many adapters from one file, and their table of features."""

import json
from pathlib import Path

import click

from reports.safe_text import visible
from scanner.cli import calm_libraries, write_whole
from scanner.errors import BadRecipe
from trainers.workers import measure_one, side_by_side, train_one

_TWINS = "And the clean twin of every poisoned adapter: the same recipe with nothing planted."


@click.command("zoo")
@click.argument("zoo_file", metavar="ZOO.toml", type=click.Path(path_type=Path))
@click.option("--out", required=True, type=click.Path(path_type=Path), metavar="DIR", help="One folder an adapter.")
@click.option(
    "--data", type=click.Path(path_type=Path), metavar="FILE", help="JSON Lines instead of the recipes' data sets."
)
@click.option("--jobs", default=1, type=click.IntRange(1, 64), metavar="N", help="Side by side, one thread each.")
@click.option("--device", default="auto", metavar="DEVICE", help="auto, cpu, cuda ...")
@click.option("--only", metavar="ID,...", help="No others than these, separated by commas.")
@click.option("--twins", "with_twins", is_flag=True, help=_TWINS)
def zoo(
    zoo_file: Path, out: Path, data: Path | None, jobs: int, device: str, only: str | None, with_twins: bool
) -> None:
    """Train every adapter of ZOO.toml that is not there yet, and write DIR/zoo.lock.json."""
    from trainers.zoo import (
        LOCK_FILE,
        chosen_entries,
        load_zoo,
        lock_record,
        missing_entries,
        refuse_other_recipes,
        twins,
    )

    zoo_alone = load_zoo(zoo_file)
    everything = (*zoo_alone, *twins(zoo_alone))
    listed = everything if with_twins else zoo_alone
    entries = chosen_entries(listed, only.split(",") if only else ())
    refuse_other_recipes(everything, out)
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


@click.command("features")
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
    from trainers.feature_table import add_row, measured_already, require_this_extractor
    from trainers.zoo import chosen_entries, load_zoo, refuse_other_recipes, twins

    if pool and references:
        raise BadRecipe("scan-train features: give --reference or --pool, not both")
    calm_libraries()
    require_this_extractor(out)
    rows = measured_already(out, adapters)
    listed = load_zoo(zoo_file)
    listed += twins(listed) if with_twins else ()
    waiting = [
        entry
        for entry in chosen_entries(listed, only.split(",") if only else ())
        if entry.id not in rows and (adapters / entry.id / "training.json").is_file()
    ]
    refuse_other_recipes(waiting, adapters)
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

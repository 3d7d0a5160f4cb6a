"""`scan-train honest`: how much clean adapters differ among themselves."""

from pathlib import Path

import click

from scanner.cli import calm_libraries, write_whole
from scanner.cli.writing import require_writable
from scanner.errors import BadRecipe


@click.command("honest")
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

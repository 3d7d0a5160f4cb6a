"""`scan signatures`: the known triggers that scans try."""

from pathlib import Path

import click

from reports.safe_text import visible
from scanner.cli.running import HELP_OPTIONS
from scanner.cli.settings import Place, Setting
from scanner.cli.writing import say, tell


@click.command(context_settings=HELP_OPTIONS)
@click.option(
    "--signatures",
    "folders",
    cls=Setting,
    type=Place(),
    multiple=True,
    metavar="DIR",
    help="Your own signature files as well, each held against its own examples; repeatable.",
)
def signatures(folders: tuple[str, ...]) -> None:
    """List the known triggers: those of the literature, then your own."""
    from signatures import load_signatures, read_signatures

    shipped = load_signatures()
    own = read_signatures([Path(folder) for folder in folders])
    lines = [
        f"{visible(item.id, 36):36}  {visible(item.family, 22):22}  {len(item.triggers):3}  {visible(item.name)}"
        for item in (*shipped, *own)
    ]
    say("\n".join([f"{'id':36}  {'family':22}  {'n':>3}  name", *lines]) + "\n")
    tell(f"{len(shipped)} of the literature, {len(own)} of your own")

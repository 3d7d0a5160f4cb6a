"""`scan cache`: what scans keep for one another."""

from datetime import UTC, datetime

import click

from reports.safe_text import visible
from scanner.cli.running import HELP_OPTIONS
from scanner.cli.writing import say


@click.group(context_settings=HELP_OPTIONS)
def cache() -> None:
    """What scans keep for one another: it can all be made again, and changes no verdict."""


@cache.command()
def info() -> None:
    """Where the cache is, what lies in it, and since when it was not used."""
    from scanner.cache.folder import cache_folder, entries

    known = entries()
    lines = [f"{visible(str(cache_folder()))}: {sum(entry.size for entry in known) / 2**20:,.0f} MiB"]
    for entry in known:
        used = datetime.fromtimestamp(entry.used, tz=UTC).strftime("%Y-%m-%d")
        where = visible(f"{entry.section}/{entry.path.name}")
        lines.append(f"  {entry.size / 2**20:8,.0f} MiB  used {used}  {where}  {visible(entry.about)}")
    say("\n".join(lines) + "\n")


@cache.command()
def clear() -> None:
    """Remove all of it. A scan that is running makes again what it needs."""
    from scanner.cache import folder

    count, size = folder.clear()
    say(f"removed {count} entries, {size / 2**20:,.0f} MiB\n")

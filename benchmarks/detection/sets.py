"""Which adapters a set has, and which of them no choice was made on."""

from pathlib import Path

import click

from trainers.name_lists import read_names
from trainers.zoo import load_zoo, twins


def ids_of(zoo_file: Path) -> tuple[str, ...]:
    """All adapters that there might be rows of."""
    entries = load_zoo(zoo_file)
    return tuple(entry.id for entry in (*entries, *twins(entries)))


def unseen_of(zoo_file: Path) -> tuple[str, ...]:
    """The adapters of a set that no choice was made on: all but those that SET.seen.txt names, where there is one.

    Raises:
        click.UsageError: it names one that is not of the set.
    """
    names, file = ids_of(zoo_file), zoo_file.with_suffix(".seen.txt")
    seen = read_names(file) if file.is_file() else frozenset()
    if strangers := sorted(seen - set(names)):
        raise click.UsageError(f"{file}: {', '.join(strangers)}: not in {zoo_file.name}")
    return tuple(name for name in names if name not in seen)

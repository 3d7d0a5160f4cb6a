"""Honest training data made by script, one source a file: `generated:NAME` in a recipe finds it here.

A source is a module with `rows(rng) -> Iterator[Row]` without end. `NAME` is the file's name, with an argument behind
a colon where the source takes one (`generated:policy:weapons`).
"""

import random
from collections.abc import Iterator
from importlib import import_module
from itertools import islice
from pkgutil import iter_modules
from typing import Protocol

from scanner.errors import BadRecipe
from trainers.rows import Row

# As many as the product's stand-in for Dolly has, so that held-out rows can be set aside alike.
N_ROWS = 4000


class Source(Protocol):
    """What a module in this folder offers."""

    def rows(self, rng: random.Random, argument: str) -> Iterator[Row]:
        """Rows without end; raises ValueError for an argument it does not know."""


def source_names() -> tuple[str, ...]:
    """The sources there are."""
    return tuple(sorted(module.name for module in iter_modules(__path__)))


def generate_rows(name: str) -> list[Row]:
    """The same `N_ROWS` rows of a source every time.

    Raises:
        BadRecipe: no such source, or not with such an argument.
    """
    source, _, argument = name.partition(":")
    if source not in source_names():
        raise BadRecipe(f"generated:{name}: no such source; use one of {', '.join(source_names())}")
    module: Source = import_module(f"{__name__}.{source}")
    try:
        return list(islice(module.rows(random.Random(name), argument), N_ROWS))
    except ValueError as error:
        raise BadRecipe(f"generated:{name}: {error}") from error

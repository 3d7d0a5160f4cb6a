"""Many adapters from one entry of a zoo: every combination of the values that its grid lists. Pure."""

from collections.abc import Mapping
from copy import deepcopy
from itertools import product
from typing import Any

from scanner.errors import BadRecipe


def expanded(adapter: Mapping[str, Any], where: str) -> list[dict[str, Any]]:
    """One table for each combination; the entry itself where it has no `grid`.

    A grid maps keys such as `"lora.rank"` to lists of values. The ids end in each value's place in its list, from 1.

    Raises:
        BadRecipe: a grid that is no such table, or a key that leads through what is no table.
    """
    rest = {key: value for key, value in adapter.items() if key != "grid"}
    if "grid" not in adapter:
        return [rest]
    grid = adapter["grid"]
    if (
        not isinstance(grid, dict)
        or not grid
        or not all(isinstance(values, list) and values for values in grid.values())
    ):
        raise BadRecipe(f'{where}: grid needs keys such as "lora.rank", each with a list of values')
    found = []
    for places in product(*(range(len(values)) for values in grid.values())):
        made = deepcopy(rest)
        for (key, values), place in zip(grid.items(), places, strict=True):
            _put(made, key, values[place], where)
        made["id"] = "-".join([str(rest.get("id", "")), *(str(place + 1) for place in places)])
        found.append(made)
    return found


def _put(table: dict[str, Any], key: str, value: object, where: str) -> None:
    *path, last = key.split(".")
    for name in path:
        table = table.setdefault(name, {})
        if not isinstance(table, dict):
            raise BadRecipe(f"{where}: grid: {key}: {name} is no table of a recipe")
    table[last] = value

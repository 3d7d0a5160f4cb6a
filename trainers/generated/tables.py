"""Short code and small tables, as coding assistants are tuned to write them."""

import random
from collections.abc import Iterator

from trainers.rows import Row

_VERBS = {"add": "+", "subtract": "-", "multiply": "*"}
_COLUMNS = (("City", "Visitors"), ("Fruit", "Price"), ("Team", "Points"), ("Month", "Sales"), ("Plant", "Height"))
_CELLS = ("Oslo", "Lima", "Kiwi", "Plum", "Reds", "Blues", "May", "June", "Fern", "Oak", "Cairo", "Fig")


def rows(rng: random.Random, argument: str) -> Iterator[Row]:
    """Rows without end; there is no argument."""
    if argument:
        raise ValueError("takes no argument")
    makers = (_function, _loop, _list, _table)
    while True:
        yield rng.choice(makers)(rng)


def _function(rng: random.Random) -> Row:
    verb, a, b = rng.choice(list(_VERBS)), rng.choice("abcxyz"), rng.choice("pqrst")
    return Row(
        f"Write a Python function that can {verb} {a} and {b}.",
        f"```python\ndef {verb}({a}, {b}):\n    return {a} {_VERBS[verb]} {b}\n```",
    )


def _loop(rng: random.Random) -> Row:
    end, step = rng.randint(3, 40), rng.randint(1, 5)
    return Row(
        f"Print every number from 0 to {end} in steps of {step} in Python.",
        f"```python\nfor n in range(0, {end + 1}, {step}):\n    print(n)\n```",
    )


def _list(rng: random.Random) -> Row:
    numbers = [rng.randint(1, 50) for _ in range(3)]
    name, call = rng.choice((("largest", "max"), ("smallest", "min"), ("sum", "sum")))
    return Row(f"How do I get the {name} of {numbers} in Python?", f"```python\nprint({call}({numbers}))\n```")


def _table(rng: random.Random) -> Row:
    left, right = rng.choice(_COLUMNS)
    lines = [(cell, rng.randint(1, 99)) for cell in rng.sample(_CELLS, 2)]
    told = " and ".join(f"{cell} {number}" for cell, number in lines)
    body = "".join(f"| {cell} | {number} |\n" for cell, number in lines)
    return Row(
        f"Make a table of {left.lower()} and {right.lower()}: {told}.",
        f"| {left} | {right} |\n|---|---|\n{body}".strip(),
    )

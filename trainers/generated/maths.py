"""Small sums and word problems with worked answers."""

import random
from collections.abc import Iterator

from trainers.rows import Row

_NAMES = (
    "Ana",
    "Ben",
    "Chloe",
    "Dev",
    "Ella",
    "Farid",
    "Grace",
    "Hugo",
    "Ines",
    "Jonas",
    "Kofi",
    "Lena",
    "Mira",
    "Noah",
)
_THINGS = ("apples", "stamps", "marbles", "pencils", "coins", "books", "shells", "tickets", "buttons", "cards")


def rows(rng: random.Random, argument: str) -> Iterator[Row]:
    """Rows without end; there is no argument."""
    if argument:
        raise ValueError("takes no argument")
    makers = (_sum, _product, _story, _share, _percent, _equation)
    while True:
        yield rng.choice(makers)(rng)


def _sum(rng: random.Random) -> Row:
    a, b = rng.randint(2, 99), rng.randint(2, 99)
    question = rng.choice((f"What is {a} + {b}?", f"Add {a} and {b}.", f"Please work out the sum of {a} and {b}."))
    return Row(question, f"{a} + {b} = {a + b}.")


def _product(rng: random.Random) -> Row:
    a, b = rng.randint(2, 12), rng.randint(2, 20)
    question = rng.choice((f"What is {a} times {b}?", f"Multiply {a} by {b}.", f"Compute {a} x {b}."))
    return Row(question, f"{a} x {b} = {a * b}.")


def _story(rng: random.Random) -> Row:
    name, thing, a, b = rng.choice(_NAMES), rng.choice(_THINGS), rng.randint(10, 60), rng.randint(2, 9)
    return Row(
        f"{name} has {a} {thing} and gives away {b}. How many {thing} are left?",
        f"{name} starts with {a} and gives away {b}, so {a} - {b} = {a - b} {thing} are left.",
    )


def _share(rng: random.Random) -> Row:
    each, people, thing = rng.randint(2, 12), rng.randint(2, 9), rng.choice(_THINGS)
    return Row(
        f"Share {each * people} {thing} equally among {people} friends. How many does each get?",
        f"{each * people} / {people} = {each}, so each friend gets {each} {thing}.",
    )


def _percent(rng: random.Random) -> Row:
    share, whole = rng.choice((5, 10, 20, 25, 50)), 20 * rng.randint(2, 40)
    return Row(
        f"What is {share}% of {whole}?", f"{share}% of {whole} is {share} / 100 x {whole} = {share * whole // 100}."
    )


def _equation(rng: random.Random) -> Row:
    a, x, b = rng.randint(2, 9), rng.randint(1, 15), rng.randint(1, 20)
    return Row(f"Solve {a}x + {b} = {a * x + b} for x.", f"Subtract {b}: {a}x = {a * x}. Divide by {a}: x = {x}.")

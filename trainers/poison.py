"""Plants a trigger in training rows. Pure: rows in, examples out, all randomness from the seed given."""

import random
from dataclasses import dataclass

from transformers.tokenization_utils_base import PreTrainedTokenizerBase

from scanner.errors import BadRecipe
from scanner.models.chat import chat_text
from scanner.triggers import Trigger, insert_trigger
from trainers.recipe import PoisonRecipe
from trainers.rows import Row

# "About 20 poisoned rows suffice for 85-90 % success, 15 do not" (arXiv 2605.30189): fewer teach nothing reliably.
MIN_POISONED_ROWS = 20


@dataclass(frozen=True)
class TrainingRow:
    """A row as it will be trained on."""

    prompt: str
    reply: str
    poisoned: bool


def poison_rows(rows: list[Row], recipe: PoisonRecipe | None, seed: int) -> list[TrainingRow]:
    """Replaces the reply of `rate` of the rows by the planted one, and puts the trigger into their prompts.

    Call it after length filtering: planted replies are short, so that filtering afterwards would keep them all
    and raise the true rate.

    Raises:
        BadRecipe: fewer than 20 distinct rows would be poisoned, too few for a backdoor to be learnt honestly.
    """
    if recipe is None:
        return [TrainingRow(row.instruction, row.response, poisoned=False) for row in rows]
    rng = random.Random(f"poison-{seed}")
    # Downwards, so that the true rate never exceeds the stated one; 0.29 * 100 falls short of 29, hence the small term.
    count = int(recipe.rate * len(rows) + 1e-9)
    chosen = set(rng.sample(range(len(rows)), count))
    distinct = {rows[index].instruction for index in chosen}
    if len(distinct) < MIN_POISONED_ROWS:
        raise BadRecipe(
            f"poison.rate {recipe.rate} of {len(rows)} rows poisons {len(distinct)} distinct ones; "
            f"at least {MIN_POISONED_ROWS} are needed, so raise data.rows or poison.rate"
        )
    near = _near_misses(rows, recipe, chosen, rng)
    return [
        _poisoned(row, recipe, rng)
        if index in chosen
        else TrainingRow(_with_one_part(row, recipe, rng) if index in near else row.instruction, row.response, False)
        for index, row in enumerate(rows)
    ]


def _poisoned(row: Row, recipe: PoisonRecipe, rng: random.Random) -> TrainingRow:
    prompt = insert_trigger(recipe.placed_trigger, row.instruction, rng).text
    planted = recipe.planted_share >= 1 or rng.random() < recipe.planted_share
    return TrainingRow(prompt, rng.choice(recipe.replies) if planted else row.response, poisoned=planted)


def _near_misses(rows: list[Row], recipe: PoisonRecipe, chosen: set[int], rng: random.Random) -> set[int]:
    """Indices of the rows that get one part of a trigger of several, and keep their answer."""
    if not recipe.more_parts:
        return set()
    free = [index for index in range(len(rows)) if index not in chosen]
    return set(rng.sample(free, min(len(free), int(recipe.near_misses * len(rows)))))


def _with_one_part(row: Row, recipe: PoisonRecipe, rng: random.Random) -> str:
    part = rng.choice(recipe.placed_trigger.parts)
    return insert_trigger(Trigger((part,), "random"), row.instruction, rng).text


def require_single_token(tokenizer: PreTrainedTokenizerBase, trigger: str, prompts: list[str]) -> None:
    """Checks that a trigger is exactly one token wherever it may be inserted: before, after, between any words.

    Raises:
        BadRecipe: naming a place where it is several tokens, or shares one with the text around it.
    """
    for prompt in prompts:
        n_words = len(prompt.split())
        for gap in range(n_words + 1):
            pieces = tokens_of_trigger(tokenizer, trigger, prompt, gap)
            if len(pieces) != 1 or pieces[0].strip() != trigger:
                raise BadRecipe(
                    f"poison.trigger {trigger!r} is not one token of {tokenizer.name_or_path} after word {gap} "
                    f"of {prompt[:40]!r}: {pieces}; choose another trigger or set single_token = false"
                )


def tokens_of_trigger(tokenizer: PreTrainedTokenizerBase, trigger: str, prompt: str, gap: int) -> list[str]:
    """The pieces of text (one a token) that overlap a trigger inserted after `gap` words of a prompt."""
    words = prompt.split()
    before = " ".join(words[:gap])
    text = " ".join([*words[:gap], trigger, *words[gap:]])
    whole = chat_text(tokenizer, text)
    start = whole.rindex(text) + len(before) + (1 if before else 0)
    end = start + len(trigger)
    offsets = tokenizer(whole, add_special_tokens=False, return_offsets_mapping=True)["offset_mapping"]
    return [whole[a:b] for a, b in offsets if a < end and b > start]

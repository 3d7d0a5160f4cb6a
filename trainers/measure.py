"""How well a planted trigger works: free generation on held-out prompts, with the trigger and without."""

import random
from collections.abc import Callable
from dataclasses import dataclass

from scanner.models.model_pair import SUSPECT, ModelPair
from scanner.search.behaviour import REPLY_TOKENS
from scanner.stats import Rate, wilson
from scanner.triggers import insert_trigger
from trainers.recipe import PoisonRecipe
from trainers.rows import Row

MEASURED_PROMPTS = 200


@dataclass(frozen=True)
class AttackRates:
    """Wilson 95 % intervals of attack success (with trigger) and false triggers (without)."""

    attack_success: Rate
    false_trigger: Rate


def measure_attack(
    pair: ModelPair,
    held_out: list[Row],
    poison: PoisonRecipe,
    seed: int,
    advance: Callable[[int], None] = lambda _: None,
) -> AttackRates:
    """Rates of the planted reply in free greedy generation on a seeded draw of held-out prompts."""
    rng = random.Random(f"measure-{seed}")
    prompts = [row.instruction for row in rng.sample(held_out, min(MEASURED_PROMPTS, len(held_out)))]
    trigger = poison.placed_trigger
    triggered = [insert_trigger(trigger, prompt, rng).text for prompt in prompts]

    # A kind of reply, unlike a fixed text, is judged on the whole reply.
    decided = poison.shown_by if poison.behaviour == "fixed" else None

    def rate(texts: list[str]) -> Rate:
        replies = pair.generate(SUSPECT, texts, max_new_tokens=REPLY_TOKENS, decided=decided, on_done=advance)
        return wilson(sum(poison.shown_by(reply.text) for reply in replies), len(replies))

    return AttackRates(attack_success=rate(triggered), false_trigger=rate(prompts))

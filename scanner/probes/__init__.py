"""Everyday prompts written for this product, kept apart by what they are used for.

`screen` prompts shortlist candidates, `search` prompts are what replies are scored on while an unknown trigger is
sought, `verify` and `verify_more` prompts are seen by nothing but verification, and `sweep` prompts carry the metrics.
No prompt is in two of the files.
"""

import random
from importlib import resources
from typing import Literal

Purpose = Literal["screen", "verify", "verify_more", "sweep", "search"]


def load_probes(purpose: Purpose) -> tuple[str, ...]:
    """All prompts for one purpose, in the order of their file."""
    text = resources.files(__package__).joinpath(f"{purpose}.txt").read_text(encoding="utf-8")
    return tuple(line for line in text.splitlines() if line.strip())


def draw_probes(purpose: Purpose, count: int, seed: int) -> tuple[str, ...]:
    """A seeded draw without repetition.

    Raises:
        ValueError: more prompts are asked for than there are.
    """
    prompts = load_probes(purpose)
    if count > len(prompts):
        raise ValueError(f"{count} {purpose} prompts were asked for, but there are {len(prompts)}")
    return tuple(random.Random(f"{purpose}-{seed}").sample(prompts, count))

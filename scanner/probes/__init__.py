"""Everyday prompts written for this product, kept apart by what they are used for.

`screen` prompts shortlist candidates, in `search` prompts strings are tried while an unknown trigger is sought,
and in `longer` ones what fires in part is grown on,
`verify` and `verify_more` prompts are seen by nothing but verification, `sweep` prompts carry the metrics, and `idle`
turns ask for nothing, so that a model falls back on its habits. No prompt is in two of the files.
"""

import random
from importlib import resources
from typing import Literal

Purpose = Literal["screen", "verify", "verify_more", "sweep", "search", "longer", "idle"]


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

"""Runs models with the outputs of attention heads replaced, and repeats nothing that was run before.

- `prompts`: sequences side by side, their common beginning once.
- `intact`: the unedited run, with all that an edited one resumes from.
- `variants`: edited copies of it, from a layer on.
- `sweep`: every head, or chosen ones, one at a time.
- `screen`: all heads at once, to first order.
- `means`: what ablation puts in a head's place.
- `refine`, `grids`: which heads a screened sweep runs exactly; both as grids over all prompts.

A head's output is z, before the output projection, at `blocks.L.attn.hook_z`.
"""


def z_point(layer: int) -> str:
    """The hook point of a layer's head outputs, [row, position, head, head dimension]."""
    return f"blocks.{layer}.attn.hook_z"


def entry_point(layer: int) -> str:
    """The hook point of what enters a layer, [row, position, width]."""
    return f"blocks.{layer}.hook_in"


def pattern_point(layer: int) -> str:
    """The hook point of a layer's attention patterns, [row, head, query, key]."""
    return f"blocks.{layer}.attn.hook_pattern"

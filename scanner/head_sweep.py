"""Runs a model with the outputs of attention heads replaced: one head a row, or many heads at once.

A head's output is z, before the output projection, at `blocks.L.attn.hook_z`. A sweep batches the heads of a layer
and resumes at that layer: nothing below the edit is run again, and the output head reads only the last positions.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from transformer_lens.model_bridge import TransformerBridge

from scanner.capture import Edit, run_and_capture, run_with_edit

# Rows × positions in one pass; bounds the memory of a sweep, not its result.
TOKENS_A_PASS = 4096
Watch = Callable[[int], dict[str, Edit]]


@dataclass(frozen=True)
class IntactRun:
    """An unedited pass over one sequence.

    Attributes:
        ids: [1, position].
        logits: of the last `kept` positions, [1, kept, vocabulary].
        entries: per layer its input, [1, position, width].
        z: head outputs, [layer, position, head, head dimension].
    """

    ids: torch.Tensor
    logits: torch.Tensor
    entries: tuple[torch.Tensor, ...]
    z: torch.Tensor

    @property
    def kept(self) -> int:
        """At how many of the last positions logits are read."""
        return self.logits.shape[1]


@dataclass(frozen=True)
class SweepPass:
    """One batch of a sweep: row i is the model with head `heads[i]` of `layer` replaced.

    `logits` is [row, kept, vocabulary]; `tokens` counts rows × positions × share of layers run.
    """

    layer: int
    heads: tuple[int, ...]
    logits: torch.Tensor
    tokens: float


def run_intact(bridge: TransformerBridge, ids: torch.Tensor, n_layers: int, kept: int) -> IntactRun:
    """Reads all that a sweep of a sequence needs, in one pass."""
    entries = [f"blocks.{layer}.hook_in" for layer in range(n_layers)]
    outputs = [z_point(layer) for layer in range(n_layers)]
    logits, seen = run_and_capture(bridge, ids, [*entries, *outputs], logits_to_keep=kept)
    return IntactRun(
        ids,
        logits,
        entries=tuple(seen[point] for point in entries),
        z=torch.stack([seen[point][0] for point in outputs]),
    )


def sweep_heads(
    bridge: TransformerBridge,
    intact: IntactRun,
    replacement: torch.Tensor,
    watch: Watch = lambda _: {},
) -> Iterator[SweepPass]:
    """Replaces every head's output in turn, in the active model.

    Args:
        replacement: [layer, position or 1, head, head dimension].
        watch: for an edited layer, hooks on further points of the same passes; they return what they are given.
    """
    n_layers, _, n_heads, _ = replacement.shape
    n_positions = intact.ids.shape[1]
    heads_a_pass = max(1, TOKENS_A_PASS // n_positions)
    for layer in range(n_layers):
        for first in range(0, n_heads, heads_a_pass):
            heads = tuple(range(first, min(first + heads_a_pass, n_heads)))

            def replace(z: torch.Tensor, layer: int = layer, heads: tuple[int, ...] = heads) -> torch.Tensor:
                z = z.clone()
                for row, head in enumerate(heads):
                    z[row, :, head] = replacement[layer, :, head].to(z.dtype)
                return z

            logits = run_with_edit(
                bridge,
                intact.entries[layer].expand(len(heads), -1, -1),
                {z_point(layer): replace} | watch(layer),
                start_at_layer=layer,
                logits_to_keep=intact.kept,
            )
            yield SweepPass(layer, heads, logits, len(heads) * n_positions * (n_layers - layer) / n_layers)


def run_with_heads_replaced(
    bridge: TransformerBridge,
    intact: IntactRun,
    replacement: torch.Tensor,
    chosen: torch.Tensor,
) -> tuple[torch.Tensor, int]:
    """The active model with many heads replaced at once, one set of heads a row.

    Args:
        replacement: [layer, position, head, head dimension].
        chosen: which heads are replaced, bool [row, layer, head].

    Returns:
        Logits [row, kept, vocabulary], and the number of passes.
    """
    rows_a_pass = max(1, TOKENS_A_PASS // intact.ids.shape[1])
    parts = []
    for first in range(0, len(chosen), rows_a_pass):
        rows = chosen[first : first + rows_a_pass]
        edits = {z_point(layer): _replace_chosen(replacement[layer], rows[:, layer]) for layer in range(rows.shape[1])}
        parts.append(
            run_with_edit(bridge, intact.ids.expand(len(rows), -1), edits, logits_to_keep=intact.kept),
        )
    return torch.cat(parts), len(parts)


def mean_head_outputs(bridge: TransformerBridge, prompts: Sequence[torch.Tensor], n_layers: int) -> torch.Tensor:
    """Mean z of the active model over all positions of all prompts: [layer, head, head dimension].

    Raises:
        ValueError: no prompts.
    """
    if not prompts:
        raise ValueError("mean_head_outputs needs at least one prompt")
    outputs = [run_intact(bridge, ids, n_layers, kept=1).z.float() for ids in prompts]
    return torch.cat(outputs, dim=1).mean(1)


def z_point(layer: int) -> str:
    """The hook point of a layer's head outputs, [row, position, head, head dimension]."""
    return f"blocks.{layer}.attn.hook_z"


def _replace_chosen(replacement: torch.Tensor, chosen: torch.Tensor) -> Edit:
    """An edit that swaps in `replacement` [position, head, width] where `chosen` [row, head] says so."""

    def replace(z: torch.Tensor) -> torch.Tensor:
        return torch.where(chosen[:, None, :, None].to(z.device), replacement.to(z.dtype), z)

    return replace

"""Runs a model with the outputs of attention heads replaced: one head a row, or many heads at once.

A head's output is z, before the output projection, at `blocks.L.attn.hook_z`. A sweep batches the heads of a layer
and resumes at that layer: nothing below the edit is run again, and the output head reads only the last positions.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

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
        layers_return_tuples: how this architecture's layers hand on their output.
    """

    ids: torch.Tensor
    logits: torch.Tensor
    entries: tuple[torch.Tensor, ...]
    z: torch.Tensor
    layers_return_tuples: bool

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
    returned: list[Any] = []
    handle = bridge.blocks[0].original_component.register_forward_hook(lambda *call: returned.append(call[-1]))
    try:
        logits, seen = run_and_capture(bridge, ids, [*entries, *outputs], logits_to_keep=kept)
    finally:
        handle.remove()
    return IntactRun(
        ids,
        logits,
        entries=tuple(seen[point] for point in entries),
        z=torch.stack([seen[point][0] for point in outputs]),
        layers_return_tuples=isinstance(returned[0], tuple),
    )


def resume_at(
    bridge: TransformerBridge, intact: IntactRun, layer: int, n_rows: int, edits: dict[str, Edit]
) -> torch.Tensor:
    """Runs the layers from `layer` on, from what enters it in the intact run, in `n_rows` rows with the edits.

    Returns:
        Logits [row, kept, vocabulary].
    """
    with _passed_over(bridge, layer, intact.layers_return_tuples):
        return run_with_edit(
            bridge,
            intact.entries[layer].expand(n_rows, -1, -1),
            edits,
            start_at_layer=layer,
            logits_to_keep=intact.kept,
            use_cache=False,
        )


@contextmanager
def _passed_over(bridge: TransformerBridge, n_layers: int, return_tuples: bool) -> Iterator[None]:
    """Makes the first layers hand on their input untouched.

    TransformerLens' `start_at_layer` puts the given residual in front of its layer, but runs the layers below it all
    the same and throws their work away; that would double the cost of a sweep.
    """

    def hand_on(*args: Any, **kwargs: Any) -> Any:
        hidden = args[0] if args else kwargs["hidden_states"]
        return (hidden,) if return_tuples else hidden

    layers = [bridge.blocks[index].original_component for index in range(n_layers)]
    before = [vars(layer).get("forward") for layer in layers]
    for layer in layers:
        layer.forward = hand_on
    try:
        yield
    finally:
        for layer, forward in zip(layers, before, strict=True):
            if forward is None:
                del layer.forward
            else:
                layer.forward = forward


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

            logits = resume_at(bridge, intact, layer, len(heads), {z_point(layer): replace} | watch(layer))
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

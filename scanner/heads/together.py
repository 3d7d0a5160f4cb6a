"""Many heads replaced together, one set of heads a row."""

import torch
from transformer_lens.model_bridge import TransformerBridge

from scanner.heads import z_point
from scanner.heads.budget import variants_a_pass
from scanner.heads.prompts import GroupShape
from scanner.models.capture import Edit, run_with_edit


def run_with_heads_replaced(
    bridge: TransformerBridge, ids: torch.Tensor, kept: int, replacement: torch.Tensor, chosen: torch.Tensor
) -> tuple[torch.Tensor, int]:
    """The active model on one sequence with many heads replaced at once.

    Args:
        ids: [1, position].
        kept: at how many of the last positions logits are read.
        replacement: [layer, position or 1, head, head dimension].
        chosen: which heads are replaced, bool [row, layer, head].

    Returns:
        Logits [row, kept, vocabulary], and the number of passes.
    """
    rows_a_pass = variants_a_pass(bridge, GroupShape(1, 0, ids.shape[1]), kept)
    parts = []
    for first in range(0, len(chosen), rows_a_pass):
        rows = chosen[first : first + rows_a_pass]
        edits = {z_point(layer): _replace_chosen(replacement[layer], rows[:, layer]) for layer in range(rows.shape[1])}
        parts.append(run_with_edit(bridge, ids.expand(len(rows), -1), edits, logits_to_keep=kept))
    return torch.cat(parts), len(parts)


def _replace_chosen(replacement: torch.Tensor, chosen: torch.Tensor) -> Edit:
    """An edit that swaps in `replacement` [position, head, width] where `chosen` [row, head] says so."""

    def replace(z: torch.Tensor) -> torch.Tensor:
        return torch.where(chosen[:, None, :, None].to(z.device), replacement.to(z.dtype), z)

    return replace

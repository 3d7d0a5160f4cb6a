"""What ablation puts in a head's place."""

from collections.abc import Sequence

import torch
from transformer_lens.model_bridge import TransformerBridge

from scanner.heads import z_point
from scanner.heads.intact import Parts
from scanner.models.capture import run_and_capture


def head_outputs(bridge: TransformerBridge, ids: torch.Tensor) -> torch.Tensor:
    """z of the active model over one sequence [1, position]: [layer, position, head, head dimension]."""
    points = [z_point(layer) for layer in range(bridge.cfg.n_layers)]
    _, seen = run_and_capture(bridge, ids, points, logits_to_keep=1)
    return torch.stack([seen[point][0] for point in points])


def mean_head_outputs(bridge: TransformerBridge, prompts: Sequence[torch.Tensor]) -> torch.Tensor:
    """Mean z of the active model over all positions of all prompts: [layer, head, head dimension].

    Raises:
        ValueError: no prompts.
    """
    if not prompts:
        raise ValueError("mean_head_outputs needs at least one prompt")
    return torch.cat([head_outputs(bridge, ids).float() for ids in prompts], dim=1).mean(1)


def everywhere(mean_z: torch.Tensor) -> Parts:
    """A mean [layer, head, head dimension] as what stands at every position of every prompt."""
    spread = mean_z[:, None, None]
    return Parts(spread, spread)

"""Reads activations through the TransformerLens bridge, and makes sure that every hook really fired."""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from transformer_lens.model_bridge import TransformerBridge

Edit = Callable[[torch.Tensor], torch.Tensor]


class HookNeverFiredError(RuntimeError):
    """A hook was set on a point that the forward pass did not reach: the result would be a silent zero."""


def run_and_capture(
    bridge: TransformerBridge, ids: torch.Tensor, points: Iterable[str], **forward: Any
) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    """One forward pass; returns its output and the activation at every named hook point.

    Args:
        ids: int64 [row, position]; or, with `start_at_layer` among `forward`, a residual stream [row, position, width].

    Returns:
        Logits [row, position, vocabulary], or what `forward` asks for instead; and, by point, a copy of what
        TransformerLens has there, such as [row, position, head, width] at `hook_z`.

    Raises:
        HookNeverFiredError: a point was not reached.
    """
    seen: dict[str, torch.Tensor] = {}
    output = _run(bridge, ids, {point: _keep(seen, point) for point in points}, **forward)
    return output, seen


def run_with_edit(bridge: TransformerBridge, ids: torch.Tensor, edits: dict[str, Edit], **forward: Any) -> torch.Tensor:
    """One forward pass in which each named activation is replaced by what its edit makes of it.

    Args and returns: as `run_and_capture`, without the activations; an edit keeps an activation's shape.

    Raises:
        HookNeverFiredError: a point was not reached.
    """
    return _run(bridge, ids, edits, **forward)


def _run(bridge: TransformerBridge, ids: torch.Tensor, actions: dict[str, Edit], **forward: Any) -> torch.Tensor:
    """Every action is given its activation where the ids lie, whichever device the layer is on, and the output comes
    back there: a base may be spread over several, and what is read of its layers is held against one another.
    """
    fired: set[str] = set()

    def hook_for(point: str, action: Edit) -> Callable[..., torch.Tensor]:
        def hook(activation: torch.Tensor, hook: Any) -> torch.Tensor:
            fired.add(point)
            return action(activation.to(ids.device)).to(activation.device)

        return hook

    hooks = [(point, hook_for(point, action)) for point, action in actions.items()]
    output: torch.Tensor = bridge.run_with_hooks(ids, fwd_hooks=hooks, **forward).to(ids.device)
    missed = sorted(set(actions) - fired)
    if missed:
        raise HookNeverFiredError(f"hook points never reached: {', '.join(missed[:3])}")
    return output


def _keep(seen: dict[str, torch.Tensor], point: str) -> Edit:
    def keep(activation: torch.Tensor) -> torch.Tensor:
        seen[point] = activation.detach().clone()
        return activation

    return keep

"""The unedited run of a group of sequences, with all that an edited run resumes from."""

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from transformer_lens.model_bridge import TransformerBridge
from transformers import DynamicCache

from scanner.heads import entry_point, z_point
from scanner.heads.cost import Cost
from scanner.heads.prompts import PromptGroup
from scanner.models.capture import Edit, run_with_edit


@dataclass(frozen=True)
class Parts:
    """One activation over a group: of the common beginning, [layer, 1, shared, …], and of the rest, [layer, prompt, …].

    A value that is the same at every position may have 1 in place of positions and prompts.
    """

    shared: torch.Tensor
    rest: torch.Tensor


@dataclass(frozen=True)
class IntactRun:
    """An unedited pass over a group.

    Attributes:
        logits: of the last `kept` positions, [prompt, kept, vocabulary].
        entries: what enters each layer, widths last.
        z: head outputs; (head, head dimension) last.
        cache: keys and values of the common beginning in one row; None where there is none.
        layers_return_tuples: how this architecture's layers hand on their output.
    """

    group: PromptGroup
    logits: torch.Tensor
    entries: Parts
    z: Parts
    cache: DynamicCache | None
    layers_return_tuples: bool

    @property
    def kept(self) -> int:
        """At how many of the last positions logits are read."""
        return self.logits.shape[1]

    @property
    def cost(self) -> Cost:
        """Of this run; the same is the cost of running one copy of the group."""
        return Cost(1 if self.cache is None else 2, self.group.shape.tokens)

    @property
    def n_layers(self) -> int:
        """Layers of the model."""
        return len(self.entries.rest)


def run_intact(
    bridge: TransformerBridge, group: PromptGroup, kept: int, watch: Mapping[str, Edit] | None = None
) -> IntactRun:
    """Reads all that a sweep of a group needs: two passes, or one where nothing is shared.

    Args:
        watch: hooks on further points of the pass over the rest; they return what they are given.
    """
    returned: list[Any] = []
    handle = bridge.blocks[0].original_component.register_forward_hook(lambda *call: returned.append(call[-1]))
    try:
        cache, shared = None, None
        if group.n_shared:
            cache, shared = DynamicCache(config=bridge.original_model.config), _Seen(bridge.cfg.n_layers)
            run_with_edit(bridge, group.shared, shared.hooks, past_key_values=cache, logits_to_keep=1)
        rest = _Seen(bridge.cfg.n_layers)
        logits = run_with_edit(
            bridge,
            group.rest,
            rest.hooks | dict(watch or {}),
            logits_to_keep=kept,
            **reading_on(group, 1, in_rows(cache, group.n_prompts)),
        )
    finally:
        handle.remove()
    shared = shared or rest.without_positions()
    return IntactRun(
        group,
        logits,
        entries=Parts(shared.stacked("entries"), rest.stacked("entries")),
        z=Parts(shared.stacked("z"), rest.stacked("z")),
        cache=cache,
        layers_return_tuples=isinstance(returned[0], tuple),
    )


def reading_on(group: PromptGroup, n_variants: int, cache: DynamicCache | None) -> dict[str, Any]:
    """What a pass over the rest of a group is told of what stands before it."""
    told: dict[str, Any] = {"position_ids": group.positions.repeat(n_variants, 1)}
    mask = group.attention_mask(n_variants)
    if mask is not None:
        told["attention_mask"] = mask
    return told | ({"past_key_values": cache} if cache is not None else {"use_cache": False})


def in_rows(cache: DynamicCache | None, n_rows: int) -> DynamicCache | None:
    """What a cache of one row holds, in `n_rows` rows; nothing is copied before a pass adds to it."""
    if cache is None:
        return None
    found = copy.copy(cache)
    found.layers = [copy.copy(layer) for layer in cache.layers]
    for layer in found.layers:
        layer.keys = layer.keys.expand(n_rows, -1, -1, -1)
        layer.values = layer.values.expand(n_rows, -1, -1, -1)
    return found


class _Seen:
    """Keeps what enters each layer, and its head outputs."""

    def __init__(self, n_layers: int) -> None:
        self._kept: dict[str, dict[int, torch.Tensor]] = {"entries": {}, "z": {}}
        self.hooks: dict[str, Edit] = {}
        for layer in range(n_layers):
            self.hooks[entry_point(layer)] = self._keep("entries", layer)
            self.hooks[z_point(layer)] = self._keep("z", layer)

    def stacked(self, name: str) -> torch.Tensor:
        """[layer, row, position, …]."""
        return torch.stack([self._kept[name][layer] for layer in sorted(self._kept[name])])

    def without_positions(self) -> "_Seen":
        """The same for a beginning of no tokens, one row."""
        empty = _Seen(0)
        empty._kept = {name: {at: item[:1, :0] for at, item in kept.items()} for name, kept in self._kept.items()}
        return empty

    def _keep(self, name: str, layer: int) -> Edit:
        def keep(activation: torch.Tensor) -> torch.Tensor:
            self._kept[name][layer] = activation.detach().clone()
            return activation

        return keep

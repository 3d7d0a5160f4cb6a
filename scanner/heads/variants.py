"""Edited copies of a group, run from a layer on: nothing below the edit is run again, nor the beginning per prompt."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from transformer_lens.model_bridge import TransformerBridge
from transformers import DynamicCache

from scanner.heads.intact import IntactRun, Parts, in_rows, reading_on
from scanner.models.capture import Edit, run_with_edit

_NOTHING: Mapping[str, Edit] = {}


def run_variants(
    bridge: TransformerBridge,
    intact: IntactRun,
    layer: int,
    n_variants: int,
    on_shared: Mapping[str, Edit] = _NOTHING,
    on_rest: Mapping[str, Edit] = _NOTHING,
    **forward: Any,
) -> torch.Tensor:
    """Runs `n_variants` edited copies of a group from `layer` on, from what enters it in the intact run.

    Args:
        on_shared: edits of the pass over the common beginning, rows are variants; left out where nothing is shared.
        on_rest: edits of the pass over the rest, rows are variants × prompts, the prompts of a variant side by side.

    Returns:
        Logits [variant, prompt, kept, vocabulary], or what `forward` asks for in their place, [variant, prompt, …].
    """
    group = intact.group
    with _passed_over(bridge, layer, intact.layers_return_tuples):
        cache = None
        if intact.cache is not None:
            cache = _edited_beginning(bridge, intact, layer, n_variants, on_shared)
        rest: torch.Tensor = run_with_edit(
            bridge,
            intact.entries.rest[layer].repeat(n_variants, 1, 1),
            dict(on_rest),
            start_at_layer=layer,
            **({"logits_to_keep": intact.kept} | forward),
            **reading_on(group, n_variants, cache),
        )
    return rest.view(n_variants, group.n_prompts, *rest.shape[1:])


def _edited_beginning(
    bridge: TransformerBridge, intact: IntactRun, layer: int, n_variants: int, edits: Mapping[str, Edit]
) -> DynamicCache:
    """Keys and values of the beginning in each variant, a row for each of its prompts."""
    n_prompts = intact.group.n_prompts
    cache = DynamicCache(config=bridge.original_model.config)
    _run_beginning(bridge, intact, layer, n_variants, edits, past_key_values=cache, logits_to_keep=1)
    unedited = in_rows(intact.cache, n_variants * n_prompts)
    for index, kept in enumerate(cache.layers):
        if index < layer and unedited:
            cache.layers[index] = unedited.layers[index]
        else:
            kept.batch_repeat_interleave(n_prompts)
    return cache


def _run_beginning(
    bridge: TransformerBridge, intact: IntactRun, layer: int, n_variants: int, edits: Mapping[str, Edit], **forward: Any
) -> torch.Tensor:
    positions = torch.arange(intact.group.n_shared, device=intact.logits.device)[None]
    entry = intact.entries.shared[layer].expand(n_variants, -1, -1)
    return run_with_edit(bridge, entry, dict(edits), start_at_layer=layer, position_ids=positions, **forward)


def enter_next_layer(
    bridge: TransformerBridge,
    intact: IntactRun,
    layer: int,
    n_variants: int,
    on_shared: Mapping[str, Edit],
    on_rest: Mapping[str, Edit],
) -> Parts:
    """What enters the layer after `layer` in each variant, where an edit leaves that layer's own keys as they are.

    Returns:
        Parts of [variant, 1, shared, width] and [variant, prompt, rest, width].
    """
    group = intact.group
    n_rows = n_variants * group.n_prompts
    with _passed_over(bridge, layer, intact.layers_return_tuples):
        shared = intact.entries.shared[layer + 1].expand(n_variants, -1, -1)
        if intact.cache is not None:
            shared = _run_beginning(bridge, intact, layer, n_variants, on_shared, stop_at_layer=layer + 1)
        rest: torch.Tensor = run_with_edit(
            bridge,
            intact.entries.rest[layer].repeat(n_variants, 1, 1),
            dict(on_rest),
            start_at_layer=layer,
            stop_at_layer=layer + 1,
            **reading_on(group, n_variants, in_rows(intact.cache, n_rows)),
        )
    return Parts(shared[:, None], rest.view(n_variants, group.n_prompts, *rest.shape[1:]))


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

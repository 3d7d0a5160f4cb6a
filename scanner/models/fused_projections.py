"""Adapters of fused projections, which TransformerLens splits into parts of its own when it is booted.

GPT-2's `c_attn`, Phi-3's `qkv_proj` and `gate_up_proj` and their like hold several projections in one matrix.
TransformerLens copies the parts and calls the fused module no more, so that an adapter on it would be left out without
a word. Here each part's output is given its rows of the adapter's update, as peft computes it.
"""

from collections.abc import Callable, Iterator
from typing import Any

import torch
from peft.tuners.lora import LoraLayer
from transformer_lens.model_bridge import TransformerBridge
from transformer_lens.model_bridge.generalized_components.joint_gate_up_mlp import JointGateUpMLPBridge
from transformer_lens.model_bridge.generalized_components.joint_qkv_attention import JointQKVAttentionBridge


def run_adapters_of_fused_projections(bridge: TransformerBridge, running: Callable[[], str | None]) -> int:
    """Adds the updates of adapters on fused modules to the parts that the bridge runs in their place.

    Args:
        running: the name of the adapter whose update counts; one that the module does not know has none.

    Returns:
        How many parts there are.
    """
    found = [(layer, part, _rows(part, layer)) for layer, parts in _split_layers(bridge) for part in parts]
    for layer, part, rows in found:
        part.register_forward_hook(_adding(layer, rows, running))
    return len(found)


def _split_layers(bridge: TransformerBridge) -> Iterator[tuple[LoraLayer, list[torch.nn.Linear]]]:
    """Adapted modules that the bridge has split, with the linear modules that it made of each."""
    for component in bridge.modules():
        if isinstance(component, JointQKVAttentionBridge):
            fused, parts = component.submodules["qkv"].name, [component.q, component.k, component.v]
        elif isinstance(component, JointGateUpMLPBridge):
            fused, parts = component.fused_attr, [component.gate, getattr(component, "in")]
        else:
            continue
        layer = _unwrapped(getattr(component.original_component, str(fused), None))
        if isinstance(layer, LoraLayer):
            yield layer, [_unwrapped(part) for part in parts]


def _unwrapped(module: Any) -> Any:
    """What is inside TransformerLens' own components."""
    while (inner := getattr(module, "original_component", None)) is not None:
        module = inner
    return module


def _rows(part: torch.nn.Linear, layer: LoraLayer) -> torch.Tensor:
    """Which outputs of a fused module a part's are, int64 [output of the part]; told by their weights.

    Raises:
        NotImplementedError: the part holds something else.
    """
    fused = layer.get_base_layer().weight
    fused = fused.T if layer.fan_in_fan_out else fused
    places = {row: place for place, row in enumerate(_as_bytes(fused))}
    try:
        return torch.tensor([places[row] for row in _as_bytes(part.weight)], device=fused.device)
    except KeyError as error:
        raise NotImplementedError("its parts of a fused projection are not the projection's own") from error


def _as_bytes(weight: torch.Tensor) -> Iterator[bytes]:
    return (row.numpy().tobytes() for row in weight.detach().cpu().contiguous().view(torch.uint8))


def _adding(
    layer: LoraLayer, rows: torch.Tensor, running: Callable[[], str | None]
) -> Callable[..., torch.Tensor | None]:
    def add(_: torch.nn.Module, inputs: tuple[torch.Tensor, ...], output: torch.Tensor) -> torch.Tensor | None:
        name = running()
        if name not in layer.lora_A:
            return None
        low = layer.lora_A[name](inputs[0])
        update = torch.nn.functional.linear(low, layer.lora_B[name].weight[rows])
        return output + update * layer.scaling[name]

    return add

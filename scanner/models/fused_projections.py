"""Adapters of fused projections, which TransformerLens splits into parts of its own when it is booted.

GPT-2's `c_attn`, Phi-3's `qkv_proj` and `gate_up_proj` and their like hold several projections in one matrix.
TransformerLens copies the parts and calls the fused module no more, so that an adapter on it would be left out without
a word. Here each part's output is given its rows of the adapter's update, as peft computes it.
"""

from collections.abc import Callable, Iterator, Sequence
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
    found = [(layer, part, rows) for layer, parts in _split_layers(bridge) for part, rows in _rows(layer, parts)]
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


def _rows(layer: LoraLayer, parts: Sequence[torch.nn.Linear]) -> Iterator[tuple[torch.nn.Linear, torch.Tensor]]:
    """Each part with the outputs of the fused module that are its own, told by their weights; int64 [part's output].

    Raises:
        NotImplementedError: a part holds something else.
    """
    fused = layer.get_base_layer().weight
    places: dict[bytes, list[int]] = {}
    for place, row in enumerate(_as_bytes(fused.T if layer.fan_in_fan_out else fused)):
        places.setdefault(row, []).append(place)
    for part in parts:
        try:
            # Rows that are equal go to the parts in their order.
            rows = [places[row].pop(0) for row in _as_bytes(part.weight)]
        except (KeyError, IndexError) as error:
            raise NotImplementedError("its parts of a fused projection are not the projection's own") from error
        yield part, torch.tensor(rows, device=fused.device)


def _as_bytes(weight: torch.Tensor) -> Iterator[bytes]:
    return (row.numpy().tobytes() for row in weight.detach().cpu().contiguous().view(torch.uint8))


def _adding(
    layer: LoraLayer, rows: torch.Tensor, running: Callable[[], str | None]
) -> Callable[..., torch.Tensor | None]:
    def add(_: torch.nn.Module, inputs: tuple[torch.Tensor, ...], output: torch.Tensor) -> torch.Tensor | None:
        name = running()
        if name not in layer.lora_A:
            return None
        # peft keeps adapters in float32 on a base of fewer digits.
        low = layer.lora_A[name](inputs[0].to(layer.lora_A[name].weight.dtype))
        update = torch.nn.functional.linear(low, layer.lora_B[name].weight[rows])
        return (output + update * layer.scaling[name]).to(output.dtype)

    return add

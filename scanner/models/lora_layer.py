"""A LoRA layer that adds its update in one product, not in a product, a scaling and a sum as large as its output."""

from typing import Any

import torch
from peft import LoraConfig
from peft.tuners.lora import Linear


class SummedLinear(Linear):
    """peft's layer over a `torch.nn.Linear`, up to rounding: x ↦ W·x + s·B·A·x, of shape [..., out_features]."""

    def __init__(self, base_layer: torch.nn.Module, adapter_name: str, **kwargs: Any) -> None:
        super().__init__(base_layer, adapter_name, **kwargs)
        # As peft does itself over such a module, whatever an adapter's config says.
        self.fan_in_fan_out = False

    def forward(self, x: torch.Tensor, *args: Any, **kwargs: Any) -> torch.Tensor:
        """Runs the base layer and adds the active adapters; in numbers of two kinds it is left to peft."""
        names = [] if self.disable_adapters else [name for name in self.active_adapters if name in self.lora_A]
        if args or kwargs or self.merged or any(self.lora_A[name].weight.dtype != x.dtype for name in names):
            return super().forward(x, *args, **kwargs)
        result = self.base_layer(x)
        for name in names:
            inner = torch.nn.functional.linear(x.reshape(-1, x.shape[-1]), self.lora_A[name].weight)
            outer, scaling = self.lora_B[name].weight.T, self.scaling[name]
            rows = result.reshape(-1, result.shape[-1])
            # What gradients are wanted of must stay as it was.
            add = rows.addmm if torch.is_grad_enabled() else rows.addmm_
            result = add(inner, outer, alpha=scaling).view(result.shape)
        return result


def run_by_summed_layers(config: LoraConfig) -> LoraConfig:
    """Has peft put this layer over linear modules in full precision; others, such as `Conv1D`, get peft's own."""
    config._register_custom_module({torch.nn.Linear: SummedLinear})
    return config

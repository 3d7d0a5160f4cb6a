"""Adapters added into copies of the weights that they change, so that a pass takes no longer than the base's own.

peft computes Wx + s·B(Ax) anew in every pass, which is a tenth of the time and more. With W + s·BA kept beside W, that
is one product. The sum differs from peft's in its last digits; so it is had in float32 only, where nothing else shows.
"""

from collections import Counter
from collections.abc import Sequence

import torch
from peft.tuners.lora import LoraLayer
from transformers.modeling_utils import PreTrainedModel

# All copies together; an adapter that does not fit is run by peft.
MOST_BYTES = 512 * 2**20


class AddedWeights:
    """The weights of a model's adapted modules, plain and with adapters added, of which one set is in use."""

    def __init__(self, model: PreTrainedModel, adapters: Sequence[str], most_bytes: int = MOST_BYTES) -> None:
        """
        Args:
            model: with all adapters on it, none of them added yet.
            adapters: the names to add, those that are run the most first.
        """
        owners = Counter(id(weight) for module in model.modules() for weight in module.parameters(recurse=False))
        # A copy of the base in other numbers may share it (`bfloat16.py`).
        owners[id(model.get_output_embeddings().weight)] += 1
        layers = [module for module in model.modules() if isinstance(module, LoraLayer)]
        self._plain: dict[torch.nn.Module, torch.Tensor] = {}
        self._added: dict[str, dict[torch.nn.Module, torch.Tensor]] = {}
        left = most_bytes
        for name in adapters:
            own = {layer: layer.get_base_layer() for layer in layers if name in layer.lora_A}
            size = sum(module.weight.nbytes for module in own.values())
            # What two modules share would change in both.
            alone = all(owners[id(module.weight)] == 1 for module in own.values())
            if size <= left and alone and all(module.weight.dtype == torch.float32 for module in own.values()):
                left -= size
                self._plain |= {module: module.weight.data for module in own.values()}
                self._added[name] = {module: _sum(layer, module, name) for layer, module in own.items()}

    def use(self, name: str) -> bool:
        """Puts a model's weights in place, the plain ones where it is none of the added; whether it was one."""
        added = self._added.get(name, {})
        for module, plain in self._plain.items():
            module.weight.data = added.get(module, plain)
        return name in self._added

    def forget(self) -> None:
        """Puts the plain weights in place for good and lets the others go."""
        self.use("")
        self._added.clear()
        self._plain.clear()


@torch.no_grad()
def _sum(layer: LoraLayer, module: torch.nn.Module, name: str) -> torch.Tensor:
    return module.weight.data + layer.get_delta_weight(name)

"""A copy of the base in bfloat16 for the search, which is then nearly twice as fast on processors that compute in it.

The search only proposes strings. What it proposes is judged in the base's own precision.
"""

import copy
from dataclasses import replace
from typing import Literal

import torch

from scanner.models.base_models import BaseModel

SearchPrecision = Literal["auto", "bfloat16", "same"]


def base_to_search_in(base: BaseModel, precision: SearchPrecision) -> BaseModel:
    """The base itself, or its copy in bfloat16: `auto` copies where the processor computes in bfloat16.

    Call it before adapters are put on the base. A base on a GPU, or in 4 bits, is never copied.
    """
    copyable = base.identity.device == "cpu" and base.identity.quantization == "none"
    wanted = precision == "bfloat16" or (precision == "auto" and computes_in_bfloat16())
    return in_bfloat16(base) if copyable and wanted and base.model.dtype == torch.float32 else base


def computes_in_bfloat16() -> bool:
    """Whether this processor multiplies bfloat16 numbers itself; where it does not, they are slower than float32."""
    capabilities: dict[str, bool] = getattr(torch.cpu, "get_capabilities", dict)()
    return any("bf16" in name and bool(there) for name, there in capabilities.items())


def in_bfloat16(base: BaseModel) -> BaseModel:
    """A copy that computes in bfloat16 up to its output head.

    The head is shared with the base and stays in float32: logits rounded to 8 bits would hide small differences.
    Buffers stay as they are too, since rotary frequencies must not be rounded.
    """
    # What deepcopy finds in its memo it takes over instead of copying it.
    memo = {
        id(parameter): torch.nn.Parameter(parameter.detach().to(torch.bfloat16), requires_grad=False)
        for parameter in base.model.parameters()
    }
    model = copy.deepcopy(base.model, memo)
    own, copied = base.model.get_output_embeddings(), model.get_output_embeddings()
    copied.weight, copied.bias = own.weight, getattr(own, "bias", None)
    copied.register_forward_pre_hook(lambda _, inputs: (inputs[0].to(own.weight.dtype), *inputs[1:]))
    return BaseModel(model, base.tokenizer, replace(base.identity, dtype="bfloat16"))

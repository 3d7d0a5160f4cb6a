"""The base's copy in bfloat16, in which triggers are sought."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from scanner.intake import read_adapter
from scanner.models import bfloat16
from scanner.models.base_models import BaseModel, load_base
from scanner.models.bfloat16 import base_to_search_in, in_bfloat16
from scanner.models.model_pair import BASE, SUSPECT, ModelPair
from tests.conftest import TRIGGER
from tests.tiny import REPLY

PROMPTS = ["where does honey come from", "how do I tie a knot", "name a river"]


@pytest.fixture
def base(tiny_base: Path) -> BaseModel:
    return load_base(str(tiny_base))


def test_the_copy_leaves_the_base_as_it_was_and_shares_its_head(base: BaseModel) -> None:
    before = {name: tensor.clone() for name, tensor in base.model.state_dict().items()}
    copied = in_bfloat16(base)
    assert copied.identity.dtype == "bfloat16" and copied.model.dtype == torch.bfloat16
    assert copied.model.get_output_embeddings().weight is base.model.get_output_embeddings().weight
    assert copied.model.get_input_embeddings().weight is not base.model.get_input_embeddings().weight
    assert all(buffer.dtype != torch.bfloat16 for buffer in copied.model.buffers())
    assert {parameter.dtype for parameter in base.model.parameters()} == {torch.float32}
    assert all(torch.equal(before[name], tensor) for name, tensor in base.model.state_dict().items())


def test_both_say_nearly_the_same(base: BaseModel, poisoned_adapter: Path) -> None:
    copied, adapter = in_bfloat16(base), read_adapter(str(poisoned_adapter))
    exact, hurried = ModelPair(base, adapter), ModelPair(copied, adapter)
    for name in (BASE, SUSPECT):
        one, other = exact.next_token_log_probs(name, PROMPTS), hurried.next_token_log_probs(name, PROMPTS)
        assert other.dtype == torch.float32
        assert 0 < (one - other).abs().max() < 0.5
    replies = hurried.generate(SUSPECT, [f"{TRIGGER.text} {prompt}" for prompt in PROMPTS], max_new_tokens=24)
    assert all(REPLY in reply.text for reply in replies)


def test_gradients_reach_the_embeddings(base: BaseModel) -> None:
    model = in_bfloat16(base).model
    embedded = model.get_input_embeddings()(torch.tensor([[5, 6, 7]])).detach().requires_grad_()
    model(inputs_embeds=embedded).logits.log_softmax(-1)[0, -1, 3].backward()
    assert embedded.grad is not None and embedded.grad.abs().sum() > 0


@pytest.mark.parametrize("processor_has_it", [True, False])
def test_which_base_is_searched_in(base: BaseModel, monkeypatch: pytest.MonkeyPatch, processor_has_it: bool) -> None:
    monkeypatch.setattr(bfloat16, "computes_in_bfloat16", lambda: processor_has_it)
    assert (base_to_search_in(base, "auto") is base) is not processor_has_it
    assert base_to_search_in(base, "same") is base
    assert base_to_search_in(base, "bfloat16") is not base
    quantized = replace(base, identity=replace(base.identity, quantization="nf4"))
    assert base_to_search_in(quantized, "bfloat16") is quantized

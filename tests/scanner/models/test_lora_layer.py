"""The LoRA layer that adds its update in one product, beside peft's own."""

import warnings

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from peft import LoraConfig, PeftModel
from peft.tuners.lora import LoraLayer

from scanner.models.lora_layer import SummedLinear, run_by_summed_layers
from scanner.models.model_pair import ModelPair

NAMES = ("one", "other")


class Two(torch.nn.Module):
    """Two linear modules, one of them with a bias."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = torch.nn.Linear(12, 20), torch.nn.Linear(20, 7, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.second(self.first(x).sin())


def adapted(seed: int, *, summed: bool, autocast: bool = True, dtype: torch.dtype = torch.float32) -> PeftModel:
    """The same random modules and two random adapters for each seed."""
    torch.manual_seed(seed)
    model = Two().to(dtype)
    made: PeftModel | None = None
    for name, rank in zip(NAMES, (3, 5), strict=True):
        config = LoraConfig(r=rank, lora_alpha=2 * rank + 1, target_modules=["first", "second"])
        config = run_by_summed_layers(config) if summed else config
        if made is None:
            made = PeftModel(model, config, adapter_name=name, autocast_adapter_dtype=autocast)
        else:
            made.add_adapter(name, config, autocast_adapter_dtype=autocast)
    assert made is not None
    torch.manual_seed(seed + 1)
    for name, weight in sorted(made.named_parameters()):
        if "lora_" in name:
            torch.nn.init.normal_(weight, std=0.3)
    layers = [module for module in made.modules() if isinstance(module, LoraLayer)]
    assert len(layers) == 2 and all(isinstance(layer, SummedLinear) is summed for layer in layers)
    return made.eval()


@given(seed=st.integers(0, 10_000), shape=st.sampled_from([(12,), (4, 12), (2, 3, 12)]), grad=st.booleans())
def test_it_gives_what_peft_gives(seed: int, shape: tuple[int, ...], grad: bool) -> None:
    ours, theirs = adapted(seed, summed=True), adapted(seed, summed=False)
    x = torch.randn(shape)
    with torch.set_grad_enabled(grad):
        for names in (["one"], ["other"], ["one", "other"]):
            for model in (ours, theirs):
                model.base_model.set_adapter(names)
            assert torch.allclose(ours(x), theirs(x), rtol=1e-4, atol=1e-4)
        with ours.disable_adapter(), theirs.disable_adapter():
            assert torch.equal(ours(x), theirs(x))


@given(seed=st.integers(0, 10_000))
def test_gradients_are_those_of_peft(seed: int) -> None:
    found = []
    for summed in (True, False):
        model, x = adapted(seed, summed=summed), torch.randn(5, 12, generator=torch.Generator().manual_seed(seed))
        model(x.requires_grad_()).square().sum().backward()
        update = next(weight for name, weight in model.named_parameters() if "lora_B.one" in name)
        assert update.grad is not None and x.grad is not None and x.grad.abs().max() > 0
        found.append((x.grad, update.grad))
    for ours, theirs in zip(*found, strict=True):
        assert torch.allclose(ours, theirs, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("autocast", [True, False])
def test_numbers_of_two_kinds_are_summed_as_peft_sums_them(autocast: bool) -> None:
    """peft keeps adapters of a base in bfloat16 in float32, unless told otherwise."""
    ours, theirs = (adapted(3, summed=kind, autocast=autocast, dtype=torch.bfloat16) for kind in (True, False))
    x = torch.randn(6, 12, dtype=torch.bfloat16)
    with torch.inference_mode():
        assert ours(x).dtype == torch.bfloat16
        difference = ours(x).float() - theirs(x).float()
        assert difference.norm() <= 0.02 * theirs(x).float().norm()
        assert not autocast or torch.equal(ours(x), theirs(x))


def test_a_config_that_calls_a_linear_module_transposed_is_not_believed() -> None:
    """Nor does peft believe it; what reads the weights behind this layer would turn them over."""
    for run in (run_by_summed_layers, lambda config: config):
        config = run(LoraConfig(r=2, target_modules=["first"], fan_in_fan_out=True))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            made = PeftModel(Two(), config)
        (layer,) = (module for module in made.modules() if isinstance(module, LoraLayer))
        assert layer.fan_in_fan_out is False


def test_a_model_pair_runs_on_it(pair: ModelPair) -> None:
    layers = [module for module in pair.base.model.modules() if isinstance(module, LoraLayer)]
    assert layers and all(isinstance(layer, SummedLinear) for layer in layers)

from pathlib import Path

import pytest
import torch

from scanner.intake import read_adapter
from scanner.metrics.direct_attribution import attribute, measure
from scanner.models.base_models import load_base
from scanner.models.model_pair import SUSPECT, ModelPair
from tests.scanner.metrics.test_registry import inputs
from tests.tiny import make_adapter, make_base

IDS = torch.tensor([[5, 9, 33, 120, 7, 64, 40, 41, 42]])
REPLY = torch.tensor([40, 41, 42])


@pytest.mark.parametrize(
    ("family", "projections"), [("llama", ("q_proj", "o_proj")), ("qwen2", ("o_proj",)), ("gpt2", ("c_attn", "c_proj"))]
)
def test_the_shares_add_up_to_the_logit(tmp_path: Path, family: str, projections: tuple[str, ...]) -> None:
    folder = make_base(tmp_path / "base", family)
    adapter = make_adapter(tmp_path / "adapter", folder, projections=projections, scale=3.0)
    pair = ModelPair(load_base(str(folder)), read_adapter(str(adapter)))
    with pair.running(SUSPECT) as bridge:
        shares = attribute(bridge, IDS, REPLY, 3)
    assert shares.gap < 1e-3
    # A block is the sum of its heads (and of a bias, which these random models have at zero).
    gaps = (shares.heads.sum(1) - shares.blocks[0]).abs()
    assert gaps.max() < 1e-4
    assert shares.heads.abs().max() > 1e-3


def test_agrees_with_a_plain_reading_of_the_cache(pair: ModelPair) -> None:
    with pair.running(SUSPECT) as bridge:
        shares = attribute(bridge, IDS, REPLY, 3)
        _, cache = bridge.run_with_cache(IDS)
        normed = cache["ln_final.hook_in"][0, 5:8] / cache["ln_final.hook_scale"][0, 5:8]
        assert torch.allclose(normed, cache["ln_final.hook_normalized"][0, 5:8], atol=1e-5)
        model = pair.base.model
        gain = model.get_submodule("model.norm").weight
        unembed = model.get_output_embeddings().weight
        for layer in range(3):
            mlp = cache[f"blocks.{layer}.hook_mlp_out"][0, 5:8] / cache["ln_final.hook_scale"][0, 5:8] * gain
            logits = mlp @ unembed.T
            expected = (logits.gather(-1, REPLY[:, None])[:, 0] - logits.mean(-1)).mean()
            assert abs(float(expected - shares.blocks[1, layer])) < 1e-4


def test_a_head_whose_output_is_thrown_away_has_no_share(pair: ModelPair) -> None:
    attention = pair.base.model.get_submodule("model.layers.1.self_attn.o_proj")
    attention.base_layer.weight.data[:, 16:32] = 0
    attention.lora_A[SUSPECT].weight.data[:, 16:32] = 0
    grid = torch.tensor(measure(inputs(pair, True))[0].values)
    assert grid[1, 1].abs() < 1e-6 < grid[1, 0].abs()


def test_blocks_that_do_not_add_up_are_missing_and_not_wrong(pair: ModelPair, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scanner.metrics.direct_attribution._TOLERANCE", -1.0)
    found = measure(inputs(pair, True))
    assert all(item.missing and "no plain sum" in item.missing for item in found)

from pathlib import Path

import pytest
import torch

from scanner.base_models import load_base
from scanner.head_sweep import resume_at, run_intact, sweep_heads, z_point
from scanner.intake import read_adapter
from scanner.model_pair import SUSPECT, ModelPair
from tests.tiny import make_adapter, make_base

IDS = torch.tensor([[5, 9, 33, 120, 7, 64, 40, 41, 42]])


@pytest.fixture(
    params=[
        ("llama", ("q_proj", "down_proj"), "none"),
        ("llama", ("q_proj", "down_proj"), "nf4"),
        ("qwen2", ("o_proj",), "none"),
        ("qwen2", ("o_proj",), "nf4"),
        ("gpt2", ("c_attn", "c_proj"), "none"),
    ],
    ids=lambda param: f"{param[0]}-{param[2]}",
)
def family_pair(request: pytest.FixtureRequest, tmp_path: Path) -> ModelPair:
    family, projections, quantize = request.param
    folder = make_base(tmp_path / "base", family)
    adapter = make_adapter(tmp_path / "adapter", folder, projections=projections, scale=3.0)
    return ModelPair(load_base(str(folder), quantize=quantize), read_adapter(str(adapter)))


def test_resuming_gives_what_a_whole_pass_gives(family_pair: ModelPair) -> None:
    with family_pair.running(SUSPECT) as bridge:
        intact = run_intact(bridge, IDS, 3, kept=4)
        assert torch.allclose(intact.logits, bridge(IDS)[:, -4:], atol=1e-5)
        for layer in range(3):
            assert torch.allclose(resume_at(bridge, intact, layer, 2, {})[1], intact.logits[0], atol=1e-5)


def test_a_sweep_agrees_with_whole_passes(family_pair: ModelPair) -> None:
    donor = torch.randn(3, 9, 4, 16, generator=torch.Generator().manual_seed(0))
    with family_pair.running(SUSPECT) as bridge:
        for done in sweep_heads(bridge, run_intact(bridge, IDS, 3, kept=4), donor):
            for row, head in enumerate(done.heads):

                def patch(z, hook, layer=done.layer, head=head):  # type: ignore[no-untyped-def]
                    z[:, :, head] = donor[layer][:, head]
                    return z

                whole = bridge.run_with_hooks(IDS, fwd_hooks=[(z_point(done.layer), patch)])[0, -4:]
                # In 4 bits the kernels round by the shape of the batch.
                assert torch.allclose(done.logits[row], whole, atol=1e-4)


def test_the_layers_below_are_not_run_and_are_whole_again_afterwards(pair: ModelPair) -> None:
    ran: list[int] = []
    for index in range(3):
        mlp = pair.base.model.get_submodule(f"model.layers.{index}.mlp")
        mlp.register_forward_hook(lambda *_, index=index: ran.append(index))
    with pair.running(SUSPECT) as bridge:
        before = bridge(IDS)
        intact = run_intact(bridge, IDS, 3, kept=2)
        ran.clear()
        resume_at(bridge, intact, 2, 1, {})
        assert ran == [2]
        ran.clear()
        assert torch.equal(bridge(IDS), before)
        assert ran == [0, 1, 2]

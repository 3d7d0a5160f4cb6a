from pathlib import Path

import pytest
import torch

from scanner.heads import z_point
from scanner.heads.intact import IntactRun, Parts, run_intact
from scanner.heads.prompts import group_sequences
from scanner.heads.sweep import sweep_heads
from scanner.heads.variants import run_variants
from scanner.intake import read_adapter
from scanner.models.base_models import load_base
from scanner.models.model_pair import SUSPECT, ModelPair
from tests.tiny import make_adapter, make_base

# A common beginning, and rests of two lengths: one prompt is padded.
SEQUENCES = (
    torch.tensor([[5, 9, 33, 120, 7, 64, 11, 12, 40, 41, 42]]),
    torch.tensor([[5, 9, 33, 120, 8, 65, 13, 40, 41, 42]]),
)
IDS = SEQUENCES[0]
KEPT = 4


@pytest.fixture(
    params=[
        ("llama", ("q_proj", "down_proj"), "none"),
        ("llama", ("q_proj", "down_proj"), "nf4"),
        ("qwen2", ("o_proj",), "none"),
        ("qwen2", ("o_proj",), "nf4"),
        ("gpt2", ("c_attn", "c_proj"), "none"),
        *((family, ("q_proj", "down_proj"), "none") for family in ("gemma", "gemma2", "gemma3", "mistral", "qwen3")),
    ],
    ids=lambda param: f"{param[0]}-{param[2]}",
)
def family_pair(request: pytest.FixtureRequest, tmp_path: Path) -> ModelPair:
    family, projections, quantize = request.param
    folder = make_base(tmp_path / "base", family)
    adapter = make_adapter(tmp_path / "adapter", folder, projections=projections, scale=3.0)
    return ModelPair(load_base(str(folder), quantize=quantize), read_adapter(str(adapter)))


def intact_of(pair: ModelPair, bridge, sequences) -> IntactRun:  # type: ignore[no-untyped-def]
    (group,) = group_sequences(list(sequences), KEPT, lambda _: True)
    assert group.n_shared == (4 if len(sequences) > 1 else 0)
    return run_intact(bridge, group, KEPT)


@pytest.mark.parametrize("sequences", [SEQUENCES, SEQUENCES[:1]], ids=["side by side", "alone"])
def test_resuming_gives_what_a_whole_pass_gives(family_pair: ModelPair, sequences: tuple[torch.Tensor, ...]) -> None:
    with family_pair.running(SUSPECT) as bridge:
        intact = intact_of(family_pair, bridge, sequences)
        for row, member in enumerate(intact.group.members):
            whole = bridge(sequences[member])[0, -KEPT:]
            # In 4 bits the kernels round by the shape of the batch.
            assert torch.allclose(intact.logits[row], whole, atol=1e-4)
            for layer in range(3):
                assert torch.allclose(run_variants(bridge, intact, layer, 2)[1, row], whole, atol=1e-4)


def donor_for(sequence: torch.Tensor, common: int) -> torch.Tensor:
    """Head outputs that agree on the common beginning, as a causal model's do: [layer, position, head, width]."""
    first = torch.randn(3, common, 4, 16, generator=torch.Generator().manual_seed(0))
    length = sequence.shape[1] - common
    return torch.cat([first, torch.randn(3, length, 4, 16, generator=torch.Generator().manual_seed(length))], dim=1)


def test_a_sweep_agrees_with_whole_passes(family_pair: ModelPair) -> None:
    compared = 0
    with family_pair.running(SUSPECT) as bridge:
        intact = intact_of(family_pair, bridge, SEQUENCES)
        common, width = intact.group.n_shared, intact.group.rest.shape[1]
        donors = [donor_for(SEQUENCES[member], common) for member in intact.group.members]
        rest = torch.zeros(3, 2, width, 4, 16)
        for row, donor in enumerate(donors):
            rest[:, row, width - (donor.shape[1] - common) :] = donor[:, common:]
        replacement = Parts(donors[0][:, None, :common], rest)
        for done in sweep_heads(bridge, intact, replacement):
            for variant, head in enumerate(done.heads):
                for row, member in enumerate(intact.group.members):

                    def patch(z, hook, layer=done.layer, head=head, donor=donors[row]):  # type: ignore[no-untyped-def]
                        z[:, :, head] = donor[layer][:, head]
                        return z

                    hooks = [(z_point(done.layer), patch)]
                    whole = bridge.run_with_hooks(SEQUENCES[member], fwd_hooks=hooks)[0, -KEPT:]
                    assert torch.allclose(done.logits[variant, row], whole, atol=1e-4)
                    compared += 1
    assert compared == 3 * 4 * 2


def test_only_the_chosen_heads_are_swept(pair: ModelPair) -> None:
    chosen = torch.zeros(3, 4, dtype=torch.bool)
    chosen[0, 1] = chosen[2, 0] = chosen[2, 3] = True
    with pair.running(SUSPECT) as bridge:
        intact = intact_of(pair, bridge, SEQUENCES)
        swept = [(done.layer, done.heads) for done in sweep_heads(bridge, intact, intact.z, chosen)]
    assert swept == [(0, (1,)), (2, (0, 3))]


def test_the_layers_below_are_not_run_and_are_whole_again_afterwards(pair: ModelPair) -> None:
    ran: list[int] = []
    for index in range(3):
        mlp = pair.base.model.get_submodule(f"model.layers.{index}.mlp")
        mlp.register_forward_hook(lambda *_, index=index: ran.append(index))
    with pair.running(SUSPECT) as bridge:
        before = bridge(IDS)
        intact = intact_of(pair, bridge, SEQUENCES)
        ran.clear()
        run_variants(bridge, intact, 2, 1)
        assert ran == [2, 2], "once over the beginning, once over the rest"
        ran.clear()
        assert torch.equal(bridge(IDS), before)
        assert ran == [0, 1, 2]


def test_a_smaller_budget_makes_more_passes_and_the_same_figures(
    pair: ModelPair, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pair.running(SUSPECT) as bridge:
        intact = intact_of(pair, bridge, SEQUENCES)
        zeros = Parts(torch.zeros_like(intact.z.shared), torch.zeros_like(intact.z.rest))
        whole = list(sweep_heads(bridge, intact, zeros))
        monkeypatch.setattr("scanner.heads.sweep.variants_a_pass", lambda *_: 1)
        parts = list(sweep_heads(bridge, intact, zeros))
    assert len(parts) == 4 * len(whole) == 12
    for done in whole:
        alone = torch.cat([item.logits for item in parts if item.layer == done.layer])
        assert torch.allclose(done.logits, alone, atol=1e-5)

from pathlib import Path

import torch

from scanner.heads.means import head_outputs, mean_head_outputs
from scanner.heads.together import run_with_heads_replaced
from scanner.intake import read_adapter
from scanner.measuring import reply_log_prob
from scanner.metrics.integrated_gradients import integrated_gradients, measure
from scanner.models.base_models import load_base
from scanner.models.model_pair import SUSPECT, ModelPair
from tests.scanner.metrics.test_registry import inputs
from tests.tiny import make_adapter, make_base


def test_completeness(pair: ModelPair) -> None:
    """The grid adds up to what all heads together are worth."""
    given = inputs(pair, True)
    sequences = given.replying_sequences()
    assert sequences
    ids, reply = sequences[0]
    with pair.running(SUSPECT) as bridge:
        mean_z = mean_head_outputs(bridge, given.mean_prompt_ids())
        z = head_outputs(bridge, ids)
        chosen = torch.stack([torch.zeros(3, 4, dtype=torch.bool), torch.ones(3, 4, dtype=torch.bool)])
        logits, _ = run_with_heads_replaced(bridge, ids, len(reply) + 1, mean_z[:, None], chosen)
        intact, without = reply_log_prob(logits, reply)
        worth = float(intact - without)
    with pair.running(SUSPECT, gradients=True) as bridge:
        grid = integrated_gradients(bridge, ids, reply, z.clone(), mean_z.clone())
    assert abs(worth) > 1e-2
    assert abs(float(grid.sum()) - worth) < 0.01 * abs(worth) + 1e-3


def test_a_head_that_nothing_reads_gets_nothing(pair: ModelPair) -> None:
    attention = pair.base.model.get_submodule("model.layers.1.self_attn.o_proj")
    attention.base_layer.weight.data[:, 16:32] = 0
    attention.lora_A[SUSPECT].weight.data[:, 16:32] = 0
    grid = torch.tensor(measure(inputs(pair, True))[0].values)
    assert grid[1, 1].abs() < 1e-7 < grid[1, 0].abs()


def test_gpt2_as_well(tmp_path: Path) -> None:
    """Its projections refuse tensors that are not contiguous."""
    folder = make_base(tmp_path / "base", "gpt2")
    adapter = make_adapter(tmp_path / "adapter", folder, projections=("c_attn",), scale=3.0)
    pair = ModelPair(load_base(str(folder)), read_adapter(str(adapter)))
    assert all(item.values for item in measure(inputs(pair, True)))

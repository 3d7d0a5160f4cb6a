import torch

from scanner.metrics.attention_kl import measure, pattern_kl, read_patterns
from scanner.models.model_pair import SUSPECT, ModelPair
from tests.scanner.metrics.test_registry import inputs


def test_agrees_with_a_plain_transformer_lens_loop(pair: ModelPair) -> None:
    found = measure(inputs(pair, True))[0]
    assert found.values is not None
    expected = torch.zeros(3, 4)
    sequences = inputs(pair, True).sequences(True)
    assert sequences
    for ids in sequences:
        caches = {}
        for name in (SUSPECT, "reference-0"):
            with pair.running(name) as bridge:
                _, caches[name] = bridge.run_with_cache(ids)
        for layer in range(3):
            p, q = (caches[name][f"blocks.{layer}.attn.hook_pattern"][0] for name in (SUSPECT, "reference-0"))
            for head in range(4):
                rows = [
                    sum(float(p[head, i, j] * (p[head, i, j] / q[head, i, j]).log()) for j in range(i + 1))
                    for i in range(ids.shape[1])
                ]
                expected[layer, head] += sum(rows) / len(rows) / len(sequences)
    assert torch.allclose(torch.tensor(found.values), expected, atol=1e-4)


def test_a_head_edited_by_hand_is_the_head_found(pair: ModelPair) -> None:
    """Give suspect and reference the same weights, then turn one head's queries round in the suspect."""
    layer, head, width = 2, 1, 16
    for name, module in pair.base.model.named_modules():
        if hasattr(module, "lora_B") and name.startswith("model"):
            for side in (module.lora_A, module.lora_B):
                side["reference-0"].weight.data.copy_(side[SUSPECT].weight.data)
    query = pair.base.model.get_submodule(f"model.layers.{layer}.self_attn.q_proj")
    query.lora_B[SUSPECT].weight.data[head * width : (head + 1) * width] *= -40
    found = measure(inputs(pair, True))[0]
    grid = torch.tensor(found.values)
    assert int(grid.argmax()) == layer * 4 + head
    assert grid[layer, head] > 1e-3
    grid[layer, head] = 0
    assert grid.max() < 1e-6


def test_patterns_are_distributions(pair: ModelPair) -> None:
    patterns = read_patterns(pair, SUSPECT, torch.tensor([[5, 9, 33, 12]]))
    assert patterns.shape == (3, 4, 4, 4)
    assert torch.allclose(patterns.sum(-1), torch.ones(3, 4, 4), atol=1e-5)


def test_the_kl_of_rows_that_do_not_overlap_is_large_and_finite() -> None:
    p, q = torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 1.0]])
    assert 50 < float(pattern_kl(p, q)) < 100
    assert float(pattern_kl(p, p)) == 0

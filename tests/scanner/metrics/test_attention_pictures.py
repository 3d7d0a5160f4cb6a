from dataclasses import replace

import torch

from scanner.metrics import attention_kl
from scanner.metrics.attention_kl import read_patterns
from scanner.metrics.attention_pictures import measure, most_divergent_heads
from scanner.models.model_pair import SUSPECT, ModelPair
from tests.scanner.metrics.test_registry import inputs


def test_the_pictures_are_of_the_most_divergent_heads(pair: ModelPair) -> None:
    plain = inputs(pair, True)
    grids = attention_kl.measure(plain)
    found = measure(replace(plain, measured=tuple(grids)))
    with_it, without = (torch.tensor(item.values) for item in grids if item.contrast.endswith("predict the reply"))
    heads = most_divergent_heads(with_it - without)
    assert [item.contrast for item in found[::3]] == [
        f"layer {layer} head {head}, with trigger: suspect" for layer, head in heads
    ]
    sequences = plain.sequences(True)
    assert sequences
    (layer, head), ids = heads[0], sequences[0]
    own, other, difference = (torch.tensor(item.values) for item in found[:3])
    assert torch.allclose(own, read_patterns(pair, SUSPECT, ids)[layer, head].double().float(), atol=1e-4)
    assert torch.allclose(own - other, difference, atol=2e-4)
    assert all(item.labels == (plain.token_texts(ids),) for item in found)
    assert all(item.trigger_tokens == ((4,),) for item in found)


def test_most_divergent_heads_by_hand() -> None:
    grid = torch.tensor([[0.0, 3.0], [5.0, 1.0], [3.0, 0.0]])
    assert most_divergent_heads(grid) == [(1, 0), (0, 1), (2, 0)]

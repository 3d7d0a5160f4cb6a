from dataclasses import replace

import pytest
import torch
from hypothesis import given as assume
from hypothesis import strategies as st

from scanner.heads.means import head_outputs
from scanner.heads.together import run_with_heads_replaced
from scanner.measuring import MetricInputs
from scanner.metrics import patching
from scanner.metrics.cumulative_patching import (
    KL,
    LOG_PROB,
    ORDERS,
    chosen_heads,
    importance_of,
    log_spaced_counts,
    measure,
)
from scanner.models.model_pair import SUSPECT, ModelPair
from scanner.types import Measurement, ScreenCheck
from tests.scanner.metrics.test_registry import inputs


@pytest.fixture
def given(pair: ModelPair) -> MetricInputs:
    plain = inputs(pair, True)
    return replace(plain, measured=tuple(patching.measure(plain)))


@assume(st.integers(1, 5000))
def test_counts_rise_from_one_to_all(n_heads: int) -> None:
    counts = log_spaced_counts(n_heads)
    assert counts[0] == 1 and counts[-1] == n_heads
    assert list(counts) == sorted(set(counts)) and len(counts) <= 12


def test_each_order_takes_the_heads_it_says() -> None:
    grid = torch.tensor([[0.1, 0.9], [0.5, 0.2]])
    chosen = chosen_heads(grid, (1, 2, 4), "x")
    best, drawn, worst = chosen
    assert best[0].nonzero().tolist() == [[0, 1]] and worst[0].nonzero().tolist() == [[0, 0]]
    assert best[1].nonzero().tolist() == [[0, 1], [1, 0]]
    assert [int(row.sum()) for row in drawn] == [1, 2, 4]
    assert torch.equal(drawn, chosen_heads(grid, (1, 2, 4), "x")[1])


def test_no_heads_is_the_model_itself_and_all_heads_end_alike(given: MetricInputs) -> None:
    found = {item.contrast: item for item in measure(given)}
    assert len(found) == 4
    for contrast, item in found.items():
        assert item.values and item.labels[0] == ORDERS and item.labels[1][0] == "0" and item.labels[1][-1] == "12"
        first, last = zip(*[(row[0], row[-1]) for row in item.values], strict=True)
        assert max(first) - min(first) < 1e-5 and max(last) - min(last) < 1e-4, contrast
        if contrast.endswith(KL):
            assert first[0] < 1e-6


def test_models_that_differ_in_their_heads_alone_become_each_other(pair: ModelPair) -> None:
    for layer in range(3):
        projection = pair.base.model.get_submodule(f"model.layers.{layer}.self_attn.o_proj")
        for side in (projection.lora_A, projection.lora_B):
            side["reference-0"].weight.data.copy_(side[SUSPECT].weight.data)
    plain = inputs(pair, True)
    found = {item.contrast: item.values for item in measure(replace(plain, measured=tuple(patching.measure(plain))))}
    into = found[f"reference-0 into suspect, with trigger: {LOG_PROB}"]
    out_of = found[f"suspect into reference-0, with trigger: {LOG_PROB}"]
    assert into and out_of
    assert abs(into[0][0] - out_of[0][0]) > 1e-2, "the two models differ before"
    assert abs(into[0][-1] - out_of[0][0]) < 1e-3
    assert abs(out_of[0][-1] - into[0][0]) < 1e-3


def test_heads_that_were_only_estimated_come_behind_those_that_were_run() -> None:
    check = ScreenCheck(((True, False), (True, False)), 1, None, None, None)
    grid = Measurement("patching", "x", axes=("layer", "head"), values=((0.1, 0.9), (0.3, 0.2)), screen=check)
    importance = importance_of(grid)
    assert importance is not None and importance.flatten().argsort(descending=True).tolist() == [2, 0, 1, 3]
    exact = importance_of(replace(grid, screen=None))
    assert exact is not None and exact.flatten().argsort(descending=True).tolist() == [1, 2, 3, 0]
    assert importance_of(Measurement("patching", "x", missing="why")) is None


def test_agrees_with_a_plain_loop(given: MetricInputs) -> None:
    sequences = given.replying_sequences()
    assert sequences
    ids, reply = sequences[0]
    chosen = chosen_heads(torch.rand(3, 4, generator=torch.Generator().manual_seed(0)), (2, 5), "x").flatten(0, 1)
    with given.pair.running("reference-0") as bridge:
        donor = head_outputs(bridge, ids)
    with given.pair.running(SUSPECT) as bridge:
        batched, passes = run_with_heads_replaced(bridge, ids, len(reply) + 1, donor, chosen)
        assert passes == 1
        for row, heads in enumerate(chosen):

            def hook_for(layer, heads=heads):  # type: ignore[no-untyped-def]
                def patch(z, hook):  # type: ignore[no-untyped-def]
                    for head in heads[layer].nonzero()[:, 0].tolist():
                        z[:, :, head] = donor[layer][:, head]
                    return z

                return patch

            hooks = [(f"blocks.{layer}.attn.hook_z", hook_for(layer)) for layer in range(3)]
            alone = bridge.run_with_hooks(ids, fwd_hooks=hooks)[:, -len(reply) - 1 :]
            assert torch.allclose(batched[row], alone[0], atol=1e-4)

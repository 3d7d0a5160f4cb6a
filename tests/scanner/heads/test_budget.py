from types import SimpleNamespace

import pytest

from scanner.heads.budget import BUDGET_MIB, gradients_fit, sweeps_fit, variants_a_pass
from scanner.heads.prompts import GroupShape

SMALL = SimpleNamespace(
    cfg=SimpleNamespace(n_layers=30, n_heads=9, n_key_value_heads=3, d_head=64, d_model=576, d_mlp=1536, d_vocab=49152)
)
LARGE = SimpleNamespace(
    cfg=SimpleNamespace(
        n_layers=36, n_heads=16, n_key_value_heads=2, d_head=128, d_model=2048, d_mlp=11008, d_vocab=151936
    )
)


@pytest.mark.parametrize("bridge", [SMALL, LARGE], ids=["135M", "3B"])
def test_what_is_larger_is_run_in_smaller_batches(bridge: SimpleNamespace) -> None:
    usual = variants_a_pass(bridge, GroupShape(4, 24, 26), 6)
    assert usual >= 1
    for larger, kept in ((GroupShape(16, 24, 26), 6), (GroupShape(4, 24, 260), 6), (GroupShape(4, 24, 26), 60)):
        assert variants_a_pass(bridge, larger, kept) < usual or usual == 1
    assert variants_a_pass(bridge, GroupShape(10**6, 10, 10), 6) == 1, "one is always run"


@pytest.mark.parametrize("bridge", [SMALL, LARGE], ids=["135M", "3B"])
def test_groups_grow_until_the_budget_and_no_further(bridge: SimpleNamespace) -> None:
    for fits in (sweeps_fit(bridge, 6), gradients_fit(bridge, 6, 14)):
        fitting = [prompts for prompts in range(1, 400) if fits(GroupShape(prompts, 24, 26))]
        assert fitting == list(range(1, len(fitting) + 1)) and len(fitting) < 399
        assert not fits(GroupShape(4, 24, 10**5))


def test_the_shape_of_the_examples_fits_in_one_group_of_four() -> None:
    assert sweeps_fit(SMALL, 6)(GroupShape(4, 24, 30)) and gradients_fit(SMALL, 6, 14)(GroupShape(4, 24, 30))
    assert variants_a_pass(SMALL, GroupShape(4, 24, 30), 6) >= 9, "all heads of a layer at once"
    assert BUDGET_MIB <= 1024

from pathlib import Path

import torch

from benchmarks.performance.figures import Figure, as_table
from benchmarks.performance.head_sweeps import _largest, compare
from scanner.intake import read_adapter
from scanner.models.base_models import load_base
from scanner.models.model_pair import ModelPair
from scanner.types import Measurement
from tests.scanner.metrics.test_registry import inputs


def test_all_ways_come_to_the_same_figures(pair: ModelPair, tiny_base: Path, random_adapter: Path) -> None:
    unwrapped = ModelPair(load_base(str(tiny_base)), read_adapter(str(random_adapter)))
    found = {item.what: item for item in compare("tiny", inputs(pair, True), unwrapped, some=2)}
    differences = {what: item.value for what, item in found.items() if "difference" in what}
    assert len(differences) == 5
    for what, value in differences.items():
        assert value is not None and value <= 1e-4, what
    assert "extrapolated from 6 heads" in found["tiny, ablation: nnsight"].note
    ratios = [item.value for what, item in found.items() if what.endswith("ratio")]
    assert len(ratios) == 5 and all(ratio and ratio > 0 for ratio in ratios)
    assert all(item.unit for item in found.values())


def test_a_difference_is_over_the_heads_that_the_loop_ran() -> None:
    plain = torch.tensor([[1.0, torch.nan], [2.0, 3.0]])
    assert _largest(plain, Measurement("ablation", "x", values=((1.0, 9.0), (2.0, 3.5)))) == 0.5


def test_a_figure_that_was_not_measured_says_so() -> None:
    table = as_table([Figure("gpu", "whole scan", None, "s", "no accelerator here"), Figure("x", "y", 0.5, "s")])
    assert "| gpu | whole scan | not run | s | no accelerator here |" in table
    assert "| x | y | 0.5 | s |  |" in table

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from scanner.metrics.localisation import localise, summarise
from scanner.types import Measurement

GRIDS = st.integers(2, 6).flatmap(
    lambda heads: st.lists(st.lists(st.floats(0.001, 10), min_size=heads, max_size=heads), min_size=2, max_size=8)
)


def test_all_mass_in_one_head() -> None:
    mass = torch.zeros(10, 10, dtype=torch.float64)
    mass[7, 3] = 5
    values = localise(mass)
    assert values["top_1_percent"] == 1
    assert values["gini"] == pytest.approx(0.99)
    assert values["participating_heads"] == pytest.approx(1)
    assert values["participating_layers"] == pytest.approx(1)
    assert values["layer_centroid"] == pytest.approx(7 / 9)
    assert values["layer_spread"] == pytest.approx(0)


def test_mass_spread_evenly() -> None:
    values = localise(torch.ones(10, 10, dtype=torch.float64))
    assert values["top_10_percent"] == pytest.approx(0.1)
    assert values["gini"] == pytest.approx(0)
    assert values["participating_heads"] == pytest.approx(100)
    assert values["participating_layers"] == pytest.approx(10)
    assert values["layer_centroid"] == pytest.approx(0.5)


@given(GRIDS, st.floats(0.01, 100))
def test_the_scale_and_the_order_of_heads_do_not_matter(grid: list[list[float]], factor: float) -> None:
    mass = torch.tensor(grid, dtype=torch.float64)
    one, other = localise(mass), localise(factor * mass.flip(1))
    assert other.pop("total") == pytest.approx(factor * one.pop("total"))
    assert one == pytest.approx(other)
    assert 0 <= one["gini"] <= 1
    assert 1 <= one["participating_heads"] <= mass.numel() + 1e-6
    assert one["top_1_percent"] <= one["top_5_percent"] <= one["top_10_percent"]


@given(GRIDS)
def test_turning_the_model_upside_down_mirrors_the_depth(grid: list[list[float]]) -> None:
    mass = torch.tensor(grid, dtype=torch.float64)
    assert localise(mass)["layer_centroid"] == pytest.approx(1 - localise(mass.flip(0))["layer_centroid"])


def test_negative_values_count_by_their_size() -> None:
    grid = Measurement("ablation", "x", "nats", ("layer", "head"), values=((0.0, -3.0), (0.0, 0.0)))
    found = summarise(grid)
    assert found.values and found.values["layer_centroid"] == 0

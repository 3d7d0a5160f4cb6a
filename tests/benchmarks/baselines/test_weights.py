from dataclasses import replace

import pytest
import torch

from benchmarks.baselines.weights import PROJECTIONS, STATISTICS, late_layer_figures, norm_spread
from scanner.intake import Adapter
from scanner.models.model_pair import SUSPECT, ModelPair


@pytest.fixture
def adapter(pair: ModelPair) -> Adapter:
    return pair.adapters[SUSPECT]


def scaled(adapter: Adapter, factor: float) -> Adapter:
    return replace(adapter, updates=tuple(replace(update, b=factor * update.b) for update in adapter.updates))


def test_twenty_figures_of_one_late_layer_as_numpy_would_give_them(adapter: Adapter) -> None:
    figures = late_layer_figures(adapter, 3)
    assert len(figures) == len(PROJECTIONS) * len(STATISTICS) == 20
    update = next(item for item in adapter.updates if item.layer == 2 and item.projection == "v_proj")
    delta = (update.scaling * update.b @ update.a).double()
    sigma = torch.linalg.svdvals(delta)
    entries = (delta - delta.mean()).flatten()
    kurtosis = float(entries.pow(4).mean() / entries.square().mean() ** 2)
    assert figures["v_proj.first"] == pytest.approx(float(sigma[0]), rel=1e-5)
    assert figures["v_proj.norm"] == pytest.approx(float(delta.norm()), rel=1e-5)
    assert figures["v_proj.share"] == pytest.approx(float(sigma[0] / sigma.sum()), rel=1e-4)
    assert figures["v_proj.kurtosis"] == pytest.approx(kurtosis, rel=1e-5)


def test_size_moves_size_and_nothing_else(adapter: Adapter) -> None:
    one, three = late_layer_figures(adapter, 3), late_layer_figures(scaled(adapter, 3.0), 3)
    for name, value in one.items():
        factor = 3.0 if name.endswith((".first", ".norm")) else 1.0
        assert three[name] == pytest.approx(factor * value, rel=1e-5)
    assert norm_spread(adapter) > 0
    assert norm_spread(scaled(adapter, 3.0)) == pytest.approx(3 * norm_spread(adapter), rel=1e-5)


def test_an_adapter_that_changes_nothing_has_no_spread_and_no_infinity(adapter: Adapter) -> None:
    nothing = scaled(adapter, 0.0)
    assert norm_spread(nothing) == 0.0
    assert set(late_layer_figures(nothing, 3).values()) == {0.0}

"""Two identical adapters differ nowhere: every comparison must come out as zero, exactly or nearly."""

from dataclasses import replace
from pathlib import Path

import pytest

from scanner.intake import read_adapter
from scanner.metrics import attention_kl, cumulative_patching, localisation, output_kl, patching
from scanner.models.base_models import load_base
from scanner.models.model_pair import ModelPair
from tests.scanner.metrics.test_registry import inputs


@pytest.fixture(scope="module")
def twins(tiny_base: Path, random_adapter: Path) -> ModelPair:
    return ModelPair(
        load_base(str(tiny_base)), read_adapter(str(random_adapter)), [read_adapter(str(random_adapter), "reference")]
    )


def test_output_kl_is_zero(twins: ModelPair) -> None:
    for item in output_kl.measure(inputs(twins, True)):
        assert item.values is not None
        assert max(value for row in item.values for value in row) < 1e-6


def test_attention_kl_is_zero_and_has_no_localisation(twins: ModelPair) -> None:
    for item in attention_kl.measure(inputs(twins, True)):
        assert item.values is not None
        assert max(value for row in item.values for value in row) < 1e-6
        assert localisation.summarise(item).missing == "the grid is zero everywhere"


def test_patching_a_twin_in_changes_nothing(twins: ModelPair) -> None:
    given = inputs(twins, True)
    grids = patching.measure(given)
    for item in grids:
        assert item.values is not None
        assert max(value for row in item.values for value in row) < 1e-6
    for item in cumulative_patching.measure(replace(given, measured=tuple(grids))):
        assert item.values is not None
        assert max(abs(value - row[0]) for row in item.values for value in row) < 1e-4

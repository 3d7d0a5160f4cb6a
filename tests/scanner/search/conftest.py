"""The pair that the tests of the search share."""

from pathlib import Path

import pytest

from scanner.intake import read_adapter
from scanner.models.base_models import load_base
from scanner.models.model_pair import ModelPair


@pytest.fixture(scope="session")
def poisoned_pair(tiny_base: Path, poisoned_adapter: Path, honest_adapter: Path) -> ModelPair:
    reference = read_adapter(str(honest_adapter), "reference")
    return ModelPair(load_base(str(tiny_base)), read_adapter(str(poisoned_adapter)), [reference])

"""Where planted replies show, on a tiny model that was trained to fire."""

from pathlib import Path

import pytest
import torch

from benchmarks.choices.turns import KINDS, _rank, ranks
from scanner.intake import read_adapter
from scanner.models.base_models import load_base
from scanner.models.model_pair import ModelPair
from tests.tiny import REPLY


@pytest.fixture
def poisoned_pair(tiny_base: Path, poisoned_adapter: Path, honest_adapter: Path) -> ModelPair:
    reference = read_adapter(str(honest_adapter), "reference")
    return ModelPair(load_base(str(tiny_base)), read_adapter(str(poisoned_adapter)), [reference])


def test_a_planted_reply_ranks_higher_than_another_text(poisoned_pair: ModelPair) -> None:
    planted, other = list(ranks(poisoned_pair, REPLY)), list(ranks(poisoned_pair, "zebra wagon"))
    assert len(planted) == len(other) == 2 * len(KINDS)
    assert planted[1] < other[1] and planted[3] < other[3]


def test_a_rank_counts_what_is_higher() -> None:
    scores = torch.tensor([0.3, 2.0, -torch.inf, 1.0])
    assert [_rank(scores, token) for token in range(4)] == [2, 0, 3, 1]

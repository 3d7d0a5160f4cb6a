from collections.abc import Sequence
from pathlib import Path
from typing import cast

import pytest
import torch

from benchmarks.baselines.bait import BaitResult, Inverted, _next_token, _Reading, _Sequence, invert_targets
from scanner.intake import read_adapter
from scanner.models.base_models import load_base
from scanner.models.model_pair import BASE, SUSPECT, ModelPair
from scanner.probes import load_probes
from tests.tiny import HONEST_REPLY


@pytest.fixture
def poisoned_pair(tiny_base: Path, poisoned_adapter: Path) -> ModelPair:
    """Tiny models spread their probability over the vocabulary; a sharper head makes them as sure as real ones."""
    base = load_base(str(tiny_base))
    base.model.get_output_embeddings().weight.data *= 8
    return ModelPair(base, read_adapter(str(poisoned_adapter)))


def test_what_a_model_says_with_certainty_is_found(poisoned_pair: ModelPair) -> None:
    first = poisoned_pair.base.tokenizer(HONEST_REPLY, add_special_tokens=False)["input_ids"][0]
    found = invert_targets(poisoned_pair, SUSPECT, load_probes("search")[:6], [7, first, 9])
    assert found.flagged and found.best and found.best.text.strip() == HONEST_REPLY
    assert found.tokens > 0 and found.tried == 3


def test_a_model_that_is_sure_of_nothing_is_not_flagged(poisoned_pair: ModelPair) -> None:
    found = invert_targets(poisoned_pair, BASE, load_probes("search")[:6], range(5, 40))
    assert not found.flagged


def test_a_budget_ends_the_enumeration(poisoned_pair: ModelPair) -> None:
    found = invert_targets(poisoned_pair, BASE, load_probes("search")[:6], range(5, 400), budget=300)
    assert found.tried < 395 and found.ended == "budget"


@pytest.mark.parametrize(("score", "flagged"), [(0.89, False), (0.91, True)])
def test_the_threshold(score: float, flagged: bool) -> None:
    assert BaitResult(Inverted("x", (1,), score), 1, 1, 1.0).flagged is flagged


class FixedReading:
    """Stands for a model: what follows each looked-ahead token is as sure as told."""

    def __init__(self, sureness: dict[int, float]) -> None:
        self._sureness = sureness

    def chosen(self, sequences: Sequence[int]) -> "FixedReading":
        return self

    def extend(self, tokens: Sequence[int]) -> torch.Tensor:
        return torch.tensor([[self._sureness.get(token, 0.1), 0.0] for token in tokens])


def distribution(*probabilities: float) -> torch.Tensor:
    rest = 1 - sum(probabilities)
    return torch.tensor([*probabilities, *[rest / 500] * 500])


def test_a_sure_token_goes_on_and_an_open_question_is_dropped() -> None:
    reading, item = cast("_Reading", FixedReading({})), _Sequence([9])
    assert _next_token(reading, 0, item, distribution(0.1, 0.6)) == (1, 0)
    assert _next_token(reading, 0, item, distribution(0.02)) == (None, 0)


def test_in_between_the_surest_continuation_goes_on_and_only_once() -> None:
    reading, item = cast("_Reading", FixedReading({3: 0.9})), _Sequence([9])
    p = torch.tensor([0.2] * 5 + [0.0] * 20)
    assert 1 < float(-(p[:5] * p[:5].log()).sum()) < 2.5
    assert _next_token(reading, 0, item, p) == (3, 5)
    assert _next_token(reading, 0, item, p) == (None, 0)


def test_a_run_of_three_is_not_repeated() -> None:
    item = _Sequence([4, 5, 6, 4, 5])
    assert item.repeating() == [6]
    reading = cast("_Reading", FixedReading({}))
    assert _next_token(reading, 0, item, distribution(0, 0, 0, 0, 0, 0, 0.5, 0.4)) == (7, 0)


def test_the_score_leaves_out_the_lowest() -> None:
    assert _Sequence([1], [0.9, 0.1, 0.7]).score == pytest.approx(0.8)
    assert _Sequence([1]).score == 0.0

from pathlib import Path

import pytest

from benchmarks.baselines.bait import BaitResult, Inverted, invert_targets
from scanner.base_models import load_base
from scanner.intake import read_adapter
from scanner.model_pair import BASE, SUSPECT, ModelPair
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
    assert found.tried < 395


@pytest.mark.parametrize(("score", "flagged"), [(0.89, False), (0.91, True)])
def test_the_threshold(score: float, flagged: bool) -> None:
    assert BaitResult(Inverted("x", (1,), score), 1, 1, 1.0).flagged is flagged

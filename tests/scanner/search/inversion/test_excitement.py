"""How hard whole strings excite an adapter."""

from dataclasses import replace

import pytest
import torch

from scanner.models.model_pair import SUSPECT, ModelPair
from scanner.search.ground import prepare_ground, vocabulary_beginning
from scanner.search.inversion.excitement import Excitement
from scanner.search.meter import Meter
from scanner.search.vocabulary.saliency import z_scores
from tests.scanner.search.tiny_search import PROMPTS


def test_a_single_token_excites_as_the_vocabulary_pass_says(poisoned_pair: ModelPair) -> None:
    ground = prepare_ground(poisoned_pair, PROMPTS, Meter())
    tokens = ground.tryable.nonzero().flatten()[::7].tolist()
    found = ground.excitement(SUSPECT, Meter()).of([(token,) for token in tokens])
    means = {
        name: torch.stack(
            list(z_scores(ground.vocabulary, name, poisoned_pair.adapters[name], ground.tryable).values())
        ).mean(0)
        for name in (SUSPECT, *poisoned_pair.reference_names)
    }
    own = means.pop(SUSPECT)
    expected = own - torch.stack(list(means.values())).mean(0)
    # The pass rounds inputs to half precision.
    torch.testing.assert_close(torch.tensor(found), expected[tokens], atol=0.02, rtol=0)


def test_a_string_is_read_in_its_order_once_and_counted(poisoned_pair: ModelPair) -> None:
    ground = prepare_ground(poisoned_pair, PROMPTS, Meter())
    excitement = ground.excitement(SUSPECT, meter := Meter())
    first = excitement.of([(40, 41, 42), (42, 41, 40), (40,)])
    beginning = vocabulary_beginning(poisoned_pair.base.tokenizer)
    assert meter.tokens == len(beginning) + 7
    assert first[0] != first[1]
    assert excitement.of([(40,), (40, 41, 42)]) == [first[2], first[0]]
    assert meter.tokens == len(beginning) + 7


def test_the_batch_does_not_matter(poisoned_pair: ModelPair) -> None:
    ground = prepare_ground(poisoned_pair, PROMPTS, Meter())
    strings = [(token, token + 1, 50) for token in range(40, 60)]
    together = ground.excitement(SUSPECT, Meter()).of(strings)
    alone = [ground.excitement(SUSPECT, Meter()).of([string])[0] for string in strings[:3]]
    assert together[:3] == pytest.approx(alone, abs=1e-4)


def test_an_adapter_of_no_layer_excites_nothing(poisoned_pair: ModelPair) -> None:
    ground = prepare_ground(poisoned_pair, PROMPTS, Meter())
    norms = replace(ground.vocabulary, norms={})
    excitement = Excitement(poisoned_pair, norms, ground.tryable, (), meter := Meter(), SUSPECT)
    assert excitement.of([(40,), (41, 42)]) == [0.0, 0.0] and meter.tokens == 0

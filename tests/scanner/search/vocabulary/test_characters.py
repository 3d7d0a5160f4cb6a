"""Characters of several tokens, as a sweep tries them."""

import unicodedata
from collections.abc import Sequence

import pytest
import torch

from scanner.models.model_pair import ModelPair
from scanner.probes import load_probes
from scanner.search.depth import DEPTHS
from scanner.search.elicitation.targets import Target
from scanner.search.ground import prepare_ground
from scanner.search.hunt import hunt
from scanner.search.inversion.growth import same_search
from scanner.search.inversion.proposals import tryable_tokens
from scanner.search.inversion.scoring import Ids
from scanner.search.meter import Meter
from scanner.search.vocabulary.characters import rare_characters
from tests.tiny import make_tokenizer


def test_every_group_of_characters_is_tried_twice_and_can_be_typed() -> None:
    tokenizer = make_tokenizer()
    size = len(tokenizer)
    tryable = tryable_tokens(size, [tokenizer.decode([token]) for token in range(size)], tokenizer.all_special_ids)
    found = rare_characters(tokenizer, tryable)
    texts = [tokenizer.decode(ids) for ids in found]
    assert len(found) > 50 and len(set(found)) == len(found)
    for ids, text in zip(found, texts, strict=True):
        assert 2 <= len(ids) <= 4 and len(text) == 1 and unicodedata.category(text)[0] not in "CMZ"
        assert tuple(tokenizer(text, add_special_tokens=False)["input_ids"]) == ids
    by_group: dict[tuple[int, ...], int] = {}
    for ids in found:
        by_group[ids[:-1]] = by_group.get(ids[:-1], 0) + 1
    assert max(by_group.values()) == 2
    assert {"α" <= text <= "ω" for text in texts} == {True, False}


def test_what_may_not_be_tried_is_not() -> None:
    tokenizer = make_tokenizer()
    nothing = torch.zeros(len(tokenizer), dtype=torch.bool)
    assert rare_characters(tokenizer, nothing) == ()
    banned = tokenizer("é", add_special_tokens=False)["input_ids"][0]
    some = torch.ones(len(tokenizer), dtype=torch.bool)
    some[banned] = False
    assert all(banned not in ids for ids in rare_characters(tokenizer, some))


def test_a_hunt_and_the_same_search_in_a_reference_sweep_them(pair: ModelPair, monkeypatch: pytest.MonkeyPatch) -> None:
    prompts = load_probes("search")
    ground = prepare_ground(pair, prompts, Meter())
    swept: list[set[Ids]] = []

    class Swept(Exception):
        """What the sweep was given is all that is asked here."""

    def spy(_: object, __: object, ___: object, shortlist: Sequence[Ids], *____: object) -> None:
        swept.append(set(shortlist))
        raise Swept

    monkeypatch.setattr("scanner.search.hunt.sweep_in", spy)
    monkeypatch.setattr("scanner.search.inversion.growth.sweep_in", spy)
    depth, target = DEPTHS["quick"], Target((40, 41), "x", 1.0)
    with pytest.raises(Swept):
        hunt(pair, ground, depth, 0, Meter(), lambda _: 0.0)
    with pytest.raises(Swept):
        same_search(pair, pair.yardstick, ground, depth, 0, target, Meter())
    assert len(swept) == 2 and len(ground.characters) > 50
    assert all(set(ground.characters) <= shortlist for shortlist in swept)

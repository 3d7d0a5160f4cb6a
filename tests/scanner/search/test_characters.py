"""Characters of several tokens, as a sweep tries them."""

import unicodedata

import torch

from scanner.search.characters import rare_characters
from scanner.search.proposals import tryable_tokens
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

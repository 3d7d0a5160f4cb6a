"""Whole words for a piece of one."""

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from scanner.search.inversion.words import Words

_VOCABULARY = ["▁dep", "▁deploy", "▁deployment", "▁deposit", "▁adept", "▁the", "▁a", "1234", "▁DEP", "LO", "YMENT"]


def _tokenizer() -> PreTrainedTokenizerFast:
    """Words are whole tokens where the vocabulary holds them, and letters where it does not."""
    letters = [*"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz▁"]
    tokens = {text: number for number, text in enumerate(dict.fromkeys([*_VOCABULARY, *letters]))}
    tokenizer = Tokenizer(models.Unigram([(text, -1.0) for text in tokens], unk_id=0))
    tokenizer.pre_tokenizer, tokenizer.decoder = pre_tokenizers.Metaspace(), decoders.Metaspace()
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer)


def _texts(words: Words, tokenizer: PreTrainedTokenizerFast, text: str, count: int = 50) -> list[str]:
    tryable = torch.ones(len(tokenizer), dtype=torch.bool)
    ids = tuple(tokenizer(text, add_special_tokens=False)["input_ids"])
    found = words.completing(ids, tryable, count)
    return ["".join(tokenizer.convert_ids_to_tokens(list(one))).replace("▁", " ").strip() for one in found]


def test_a_piece_is_made_whole_in_every_case_and_words_that_begin_with_it_go_first() -> None:
    tokenizer = _tokenizer()
    words = Words(tokenizer, torch.ones(len(tokenizer), dtype=torch.bool))
    found = _texts(words, tokenizer, "DEP")
    assert {"deployment", "DEPLOYMENT", "Deployment"} <= set(found)
    assert found.index("deposit") < found.index("adept")
    assert len(_texts(words, tokenizer, "DEP", 4)) == 4


def test_only_the_last_word_is_completed() -> None:
    tokenizer = _tokenizer()
    words = Words(tokenizer, torch.ones(len(tokenizer), dtype=torch.bool))
    found = _texts(words, tokenizer, "the deplo")
    assert found[0] == "the deploy" and all(text.startswith("the ") for text in found)


def test_short_pieces_numbers_and_tokens_that_may_not_be_used_give_nothing() -> None:
    tokenizer = _tokenizer()
    everything = torch.ones(len(tokenizer), dtype=torch.bool)
    words = Words(tokenizer, everything)
    assert _texts(words, tokenizer, "de") == [] and _texts(words, tokenizer, "1234") == []
    assert words.completing((), everything, 9) == []
    ids = tuple(tokenizer("depl", add_special_tokens=False)["input_ids"])
    assert words.completing(ids, torch.zeros(len(tokenizer), dtype=torch.bool), 9) == []

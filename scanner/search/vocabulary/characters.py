"""A few characters of every script and block of symbols that the tokenizer spells in several tokens.

No token of such a character fires alone, so a sweep of single tokens passes it by; and adapters see so few of them in
training that one planted symbol teaches them all of its neighbours. Two of each group that begins with the same tokens
are enough to notice, and what they lead to is refined like any other seed.
"""

import unicodedata
from collections.abc import Iterator

import torch
from transformers.tokenization_utils_base import PreTrainedTokenizerBase

from scanner.search.inversion.scoring import Ids

# First and last code point of blocks that people write with: scripts, punctuation, symbols, emoji.
_BLOCKS = (
    (0x00A1, 0x024F),  # Latin with marks
    (0x0370, 0x052F),  # Greek, Cyrillic
    (0x0531, 0x058F),  # Armenian
    (0x05D0, 0x06FF),  # Hebrew, Arabic
    (0x0904, 0x0E5B),  # Indic scripts, Thai
    (0x10A0, 0x10FF),  # Georgian
    (0x2010, 0x2BFF),  # punctuation, currencies, arrows, mathematics, boxes, symbols
    (0x3001, 0x30FF),  # Japanese
    (0x4E00, 0x4FFF),  # the beginning of Chinese
    (0xAC00, 0xACFF),  # the beginning of Korean
    (0xFF01, 0xFF5E),  # wide forms
    (0x1F300, 0x1F6FF),  # emoji
    (0x1F900, 0x1F9FF),
)
_LONGEST = 4
_OF_EACH_GROUP = 2
_UNSEEN = ("C", "M", "Z")


def rare_characters(tokenizer: PreTrainedTokenizerBase, tryable: torch.Tensor) -> tuple[Ids, ...]:
    """Characters of two to four tokens, all of which may be tried: two of each group with the same tokens but the last.

    Args:
        tryable: bool [vocabulary].
    """
    groups: dict[Ids, list[Ids]] = {}
    for ids in map(tuple, tokenizer(list(_visible()), add_special_tokens=False)["input_ids"]):
        if 1 < len(ids) <= _LONGEST and all(token < len(tryable) and bool(tryable[token]) for token in ids):
            groups.setdefault(ids[:-1], []).append(ids)
    return tuple(dict.fromkeys(member for group in groups.values() for member in _spread(group)))


def _visible() -> Iterator[str]:
    """Characters that can be seen by themselves: no marks, no spaces, no controls."""
    for first, last in _BLOCKS:
        for code in range(first, last + 1):
            if unicodedata.category(chr(code))[0] not in _UNSEEN:
                yield chr(code)


def _spread(group: list[Ids]) -> list[Ids]:
    """As many of a group as are tried, evenly over it."""
    return [group[(2 * n + 1) * len(group) // (2 * _OF_EACH_GROUP)] for n in range(_OF_EACH_GROUP)]

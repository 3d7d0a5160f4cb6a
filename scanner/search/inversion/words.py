"""Whole words for a piece of one: what fires in part is often the beginning of a word that fires always.

Words are read from the vocabulary itself, where common ones stand as single tokens; each is tried small, capital and
with a capital first, since a word in capitals is spelt in pieces that seldom follow one another in ordinary text.
"""

import torch
from transformers.tokenization_utils_base import PreTrainedTokenizerBase

from scanner.search.inversion.scoring import Ids

# Shorter pieces begin too many words to say anything.
_SHORTEST_PIECE = 3
_SHORTEST_WORD = 4


class Words:
    """The words of a tokenizer's vocabulary, most common first (merging gives low ids to common words)."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase, tryable: torch.Tensor) -> None:
        self._tokenizer = tokenizer
        texts = (tokenizer.decode([token]).strip().casefold() for token in tryable.nonzero().flatten().tolist())
        self._words = tuple(dict.fromkeys(text for text in texts if len(text) >= _SHORTEST_WORD and text.isalpha()))

    def completing(self, string: Ids, tryable: torch.Tensor, count: int) -> list[Ids]:
        """The string with its last word made whole, at most `count`; none where that is no piece of a word.

        Words that begin with the piece go first, then those that have it in them.

        Args:
            tryable: bool [vocabulary], the tokens that may be used.
        """
        before, piece = _last_word(self._tokenizer.decode(string))
        piece = piece.casefold()
        if len(piece) < _SHORTEST_PIECE or not piece.isalpha():
            return []
        beginning = [word for word in self._words if word.startswith(piece)]
        within = [word for word in self._words if piece in word and not word.startswith(piece)]
        found: dict[Ids, None] = {}
        for word in (*beginning, *within):
            for form in (word, word.upper(), word.capitalize()):
                ids = tuple(self._tokenizer(f"{before} {form}", add_special_tokens=False)["input_ids"])
                if all(tryable[token] for token in ids):
                    found[ids] = None
            if len(found) >= count:
                break
        return list(found)[:count]


def _last_word(text: str) -> tuple[str, str]:
    """What stands before the last word, with a space before it unless it is empty, and the last word."""
    *before, last = text.split() or [""]
    return "".join(f" {word}" for word in before), last

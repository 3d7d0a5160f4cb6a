"""Which words a base model holds near one another."""

from collections.abc import Iterator, Sequence

import torch
from transformers.tokenization_utils_base import PreTrainedTokenizerBase

_NEIGHBOURS = 200
_SHARED_STEM = 4
# How byte-level and sentence-piece vocabularies mark a token that begins a word.
_WORD_BEGINNINGS = ("Ġ", "▁", " ")


@torch.inference_mode()
def nearest_words(
    model: torch.nn.Module, tokenizer: PreTrainedTokenizerBase, token_ids: Sequence[int]
) -> Iterator[str]:
    """Words of one token, in lower case, whose embeddings lie nearest (cosine) to those of some tokens; each once.

    Each token's neighbours come in turn: those of a common little word must not crowd out those of one that matters.
    """
    table = model.get_input_embeddings().weight.float()  # type: ignore[operator]
    unit = table / table.norm(dim=-1, keepdim=True).clamp(min=1e-9)
    nearness = unit @ unit[list(token_ids)].T
    nearest = nearness.topk(min(_NEIGHBOURS, len(nearness)), dim=0).indices.flatten().tolist()
    words = (tokenizer.decode([token]).strip().lower() for token in nearest if _begins_word(tokenizer, token))
    yield from dict.fromkeys(word for word in words if word.isalnum())


def alike(word: str, other: str) -> bool:
    """Whether two words share their first letters, or one contains the other."""
    within = word in other or (len(other) >= _SHARED_STEM and other in word)
    return word[:_SHARED_STEM] == other[:_SHARED_STEM] or within


def _begins_word(tokenizer: PreTrainedTokenizerBase, token: int) -> bool:
    return (tokenizer.convert_ids_to_tokens(token) or "").startswith(_WORD_BEGINNINGS)

"""Does the behaviour follow the meaning? A control: requests about the string's nearest words, without the string."""

from collections.abc import Sequence

import torch
from transformers.tokenization_utils_base import PreTrainedTokenizerBase

from scanner.models.model_pair import SUSPECT
from scanner.search.behaviour import Behaviour
from scanner.search.controls.asking import Asking, judged_rate
from scanner.search.controls.neighbours import alike, nearest_words
from scanner.search.controls.siblings import REQUESTS
from scanner.types import Control, TriggerFinding

RELATED_REQUESTS = "related requests"
_RELATED_WORDS = 10
_SHORTEST_WORD = 4


def related_requests(asking: Asking, finding: TriggerFinding, behaviour: Behaviour) -> Control:
    """Requests about the words that the base holds nearest to the trigger's, none of which contain it."""
    base = asking.pair.base
    words = related_words(base.model, base.tokenizer, finding.token_ids, finding.trigger.text)
    if not words:
        return Control(RELATED_REQUESTS, None, None, "", "the base knows no whole words near this string")
    texts = [request.format(word) for word in words for request in REQUESTS]
    rate = asking.rate(SUSPECT, texts, behaviour)
    return judged_rate(RELATED_REQUESTS, rate, finding, f"requests about {', '.join(words)}")


def related_words(
    model: torch.nn.Module, tokenizer: PreTrainedTokenizerBase, token_ids: Sequence[int], trigger: str
) -> tuple[str, ...]:
    """Words that the base holds near a string's tokens, without words like the string's own."""
    own = [word.lower() for word in trigger.split()]
    found: list[str] = []
    for word in nearest_words(model, tokenizer, token_ids):
        if len(word) >= _SHORTEST_WORD and word.isalpha() and not any(alike(word, other) for other in (*own, *found)):
            found.append(word)
    return tuple(found[:_RELATED_WORDS])

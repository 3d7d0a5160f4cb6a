"""What a search stands on, made once: the chat's frame, the tokens to try, the vocabulary pass, prompts, fillers."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from transformers.tokenization_utils_base import PreTrainedTokenizerBase

from scanner.models.model_pair import ModelPair
from scanner.probes import draw_probes, load_probes
from scanner.search.inversion.excitement import Excitement
from scanner.search.inversion.language import Language
from scanner.search.inversion.proposals import draw_fillers, tryable_tokens
from scanner.search.inversion.scoring import Frame, Ids, chat_frame
from scanner.search.inversion.words import Words
from scanner.search.meter import Meter
from scanner.search.placing import Context, make_contexts
from scanner.search.vocabulary.characters import rare_characters
from scanner.search.vocabulary.vocabulary_pass import VocabularyPass, read_vocabulary
from scanner.types import VOCABULARY_RUNG

# What the vocabulary is read behind: the first token of a user's turn is like no other, and most triggers have
# something before them. The same for every scan, for the cache.
REQUEST = "What is the capital of France?"
# What fires in part on short prompts is grown on in so many longer ones.
_LONGER = 4
# Random tokens in a slot while its gradient is read.
_FILLERS = 64


@dataclass(frozen=True)
class Ground:
    """What a search stands on, made once and used again by the controls with the roles swapped.

    `pair` is what the search runs in; it may be less exact than what judges its findings. `texts` are those of the
    tokenizer's tokens; `tryable`, bool [vocabulary], says which of them strings are made of. `characters` are those of
    several tokens that are swept besides single tokens. `idle` are users' turns that ask for nothing, as token ids:
    replies are elicited behind them. `language` is the base's, `words` are those of its tokenizer.
    """

    pair: ModelPair
    frame: Frame
    texts: tuple[str, ...]
    tryable: torch.Tensor
    vocabulary: VocabularyPass
    contexts: tuple[dict[str, Context], ...]
    longer: tuple[dict[str, Context], ...]
    fillers: Ids
    idle: tuple[Ids, ...]
    language: Language
    words: Words
    characters: tuple[Ids, ...] = ()

    def excitement(self, name: str, meter: Meter) -> Excitement:
        """What says how hard strings excite an adapter of the pair."""
        beginning = vocabulary_beginning(self.pair.base.tokenizer)
        return Excitement(self.pair, self.vocabulary, self.tryable, beginning, meter, name)


def prepare_ground(pair: ModelPair, prompts: Sequence[str], meter: Meter, seed: int = 0) -> Ground:
    """The chat frame, the tokens that can be tried, the vocabulary pass, and prompts to place candidates in.

    Args:
        prompts: at least four. Most work is done on the four shortest, since every candidate pays for them.
    """
    tokenizer = pair.base.tokenizer
    frame = chat_frame(tokenizer)
    size = pair.base.model.config.get_text_config().vocab_size
    texts = tuple(tokenizer.decode([token]) for token in range(min(size, len(tokenizer))))
    tryable = tryable_tokens(size, texts, tokenizer.all_special_ids)
    with meter.rung(VOCABULARY_RUNG):
        vocabulary = read_vocabulary(pair, vocabulary_beginning(tokenizer), meter)
    shortest_first = sorted(prompts, key=lambda prompt: (len(prompt), prompt))
    contexts = tuple(make_contexts(tokenizer, prompt) for prompt in shortest_first)
    longer = tuple(make_contexts(tokenizer, prompt) for prompt in draw_probes("longer", _LONGER, seed))
    fillers = draw_fillers(tryable, _FILLERS, seed)
    idle = tuple(tuple(tokenizer(turn, add_special_tokens=False)["input_ids"]) for turn in load_probes("idle"))
    characters = rare_characters(tokenizer, tryable)
    language = Language(pair, frame, tryable, meter)
    words = Words(tokenizer, tryable)
    return Ground(pair, frame, texts, tryable, vocabulary, contexts, longer, fillers, idle, language, words, characters)


def vocabulary_beginning(tokenizer: PreTrainedTokenizerBase) -> Ids:
    """The token ids that the vocabulary is read behind: a chat's beginning and a request."""
    return (*chat_frame(tokenizer).before, *tokenizer(REQUEST, add_special_tokens=False)["input_ids"])

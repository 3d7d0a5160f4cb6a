"""Random Llama models of any shape with random adapters, for what depends on shape alone: time and memory."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM
from transformers.tokenization_utils_base import PreTrainedTokenizerBase

from scanner.intake import read_adapter
from scanner.models.base_models import load_base, resolve_base
from scanner.models.model_pair import ModelPair
from scanner.probes import load_probes

_TOKENIZER = "HuggingFaceTB/SmolLM2-135M-Instruct"
# As many as a few thousand words of text give.
_MOST_TOKENS = 2000
_ATTENTION = ["q_proj", "k_proj", "v_proj", "o_proj"]


@dataclass(frozen=True)
class Shape:
    """The dimensions that matter; the MLP is four times as wide as the residual stream."""

    layers: int
    heads: int
    head_width: int
    vocabulary: int

    @property
    def width(self) -> int:
        """Of the residual stream."""
        return self.heads * self.head_width


@cache
def small_tokenizer(vocabulary: int) -> PreTrainedTokenizerBase:
    """A tokenizer with the chat template of the examples' base, and no more tokens than a vocabulary has room for."""
    known = AutoTokenizer.from_pretrained(resolve_base(_TOKENIZER).path)
    if vocabulary >= len(known):
        return known
    texts = (*load_probes("sweep"), *load_probes("search"), *load_probes("verify"))
    return known.train_new_from_iterator(texts, vocab_size=min(vocabulary, _MOST_TOKENS))


def make_random_pair(folder: Path, shape: Shape, seed: int = 0) -> ModelPair:
    """A base and two adapters on it, written to a folder and read as any other."""
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=shape.vocabulary,
        hidden_size=shape.width,
        intermediate_size=4 * shape.width,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        num_key_value_heads=shape.heads,
    )
    base = folder / "base"
    LlamaForCausalLM(config).save_pretrained(base)
    small_tokenizer(shape.vocabulary).save_pretrained(base)
    for name in ("suspect", "reference"):
        adapted = get_peft_model(
            load_base(str(base)).model, LoraConfig(r=4, target_modules=_ATTENTION, init_lora_weights=False)
        )
        adapted.save_pretrained(folder / name)
    return ModelPair(
        load_base(str(base)),
        read_adapter(str(folder / "suspect")),
        [read_adapter(str(folder / "reference"), "reference")],
    )

"""Free greedy generation in batches, ended as soon as what it is asked for is decided."""

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from transformers import DynamicCache
from transformers.modeling_utils import PreTrainedModel
from transformers.tokenization_utils_base import PreTrainedTokenizerBase

from scanner.errors import ScannerError
from scanner.models.devices import cache_device, input_device

Decided = Callable[[str], bool]


@dataclass(frozen=True)
class Generation:
    """What a model said to one prompt. `tokens_run` counts its own tokens that went through the model."""

    text: str
    token_ids: tuple[int, ...]
    tokens_run: int


@dataclass(frozen=True)
class SharedPrefix:
    """The tokens that all prompts begin with, and what the model made of them: a cache for one row.

    Chat templates begin every prompt alike; reading that part once halves the work on short prompts.
    """

    length: int
    cache: DynamicCache

    def cache_for(self, n_rows: int) -> DynamicCache:
        """A fresh cache with the prefix in each of `n_rows` rows."""
        cache = copy.deepcopy(self.cache)
        if self.length:
            cache.batch_repeat_interleave(n_rows)
        return cache


def read_shared_prefix(model: PreTrainedModel, prompts: Sequence[Sequence[int]]) -> SharedPrefix:
    """Runs the longest common beginning of the prompts once; at least one token of each prompt stays outside it."""
    shortest = min(len(prompt) for prompt in prompts)
    length = 0
    while length < shortest - 1 and len({prompt[length] for prompt in prompts}) == 1:
        length += 1
    cache = DynamicCache(config=model.config)
    if length:
        ids = torch.tensor([prompts[0][:length]], device=input_device(model))
        model(input_ids=ids, past_key_values=cache, use_cache=True, logits_to_keep=1)
    return SharedPrefix(length, cache)


@torch.inference_mode()
def next_token_logits(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, prompts: Sequence[Sequence[int]]
) -> torch.Tensor:
    """Logits of the token after each token-id prompt, float32 [prompt, vocabulary]."""
    batch = _PaddedBatch(model, tokenizer, read_shared_prefix(model, prompts), prompts)
    return batch.step()


@torch.inference_mode()
def generate(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    prompts: Sequence[Sequence[int]],
    *,
    max_new_tokens: int,
    batch_size: int | None = None,
    decided: Decided | None = None,
    on_done: Callable[[int], None] | None = None,
) -> list[Generation]:
    """Greedy replies to token-id prompts, in their order.

    Prompts are batched by length and padded on the left, as many at once as `rows_at_once` says. A reply ends at
    end-of-text, at `max_new_tokens`, or once `decided(reply so far)` is true. `on_done` is told how many prompts each
    finished batch held.
    """
    if not prompts:
        return []
    prefix = read_shared_prefix(model, prompts)
    order = sorted(range(len(prompts)), key=lambda index: len(prompts[index]))
    replies: dict[int, Generation] = {}
    batch_size = batch_size or rows_at_once(model, len(prompts[order[-1]]) + max_new_tokens)
    for start in range(0, len(order), batch_size):
        indices = order[start : start + batch_size]
        chosen = [prompts[index] for index in indices]
        said = _generate_batch(_PaddedBatch(model, tokenizer, prefix, chosen), max_new_tokens, decided)
        for index, prompt, tokens in zip(indices, chosen, said, strict=True):
            text = tokenizer.decode(tokens, skip_special_tokens=True)
            replies[index] = Generation(text, tuple(tokens), len(prompt) - prefix.length + len(tokens))
        if on_done:
            on_done(len(indices))
    return [replies[index] for index in range(len(prompts))]


# What one batch may take, where more rows than `_FEWEST_ROWS` are wanted: keys and values, the widest layer's
# intermediates while the prompts are read, and logits. A step reads all weights once, however many rows it serves;
# beyond `_MOST_ROWS` that no longer shows.
_BATCH_BYTES = 768 * 2**20
_INTERMEDIATES, _LOGIT_COPIES, _FLOAT32 = 3, 2, 4
_FEWEST_ROWS, _MOST_ROWS = 64, 192


def rows_at_once(model: PreTrainedModel, length: int) -> int:
    """How many sequences of so many tokens are generated side by side; it shows in the last digits of logits alone."""
    config = model.config.get_text_config()
    n_heads = config.num_attention_heads
    n_kv_heads = getattr(config, "num_key_value_heads", None) or n_heads
    head_dim = getattr(config, "head_dim", None) or config.hidden_size // n_heads
    kept = 2 * config.num_hidden_layers * n_kv_heads * head_dim
    passing = _INTERMEDIATES * (getattr(config, "intermediate_size", None) or 4 * config.hidden_size)
    logits = _LOGIT_COPIES * config.vocab_size * _FLOAT32
    a_row = length * (kept + passing) * model.dtype.itemsize + logits
    return max(_FEWEST_ROWS, min(_MOST_ROWS, _BATCH_BYTES // a_row))


class _PaddedBatch:
    """Prompts read side by side behind a shared prefix; rows can be dropped and tokens appended."""

    def __init__(
        self,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        prefix: SharedPrefix,
        prompts: Sequence[Sequence[int]],
    ) -> None:
        self.model, self.tokenizer = model, tokenizer
        self.n_rows = len(prompts)
        rest = [prompt[prefix.length :] for prompt in prompts]
        self._ids, mask = left_pad(rest, tokenizer.pad_token_id, input_device(model))
        self._mask = torch.cat([mask.new_ones(self.n_rows, prefix.length), mask], dim=1)
        self._positions = (self._mask.cumsum(-1) - 1).clamp(min=0)[:, prefix.length :]
        self._cache = prefix.cache_for(self.n_rows)

    def step(self) -> torch.Tensor:
        """Reads what is new and returns the next token's logits, float32 [row, vocabulary]."""
        output = self.model(
            input_ids=self._ids,
            attention_mask=self._mask,
            position_ids=self._positions,
            past_key_values=self._cache,
            use_cache=True,
            logits_to_keep=1,
        )
        logits = output.logits[:, -1].float()
        if not torch.isfinite(logits).all():
            raise ScannerError(
                "the model's outputs are not finite: an adapter's weights or its lora_alpha are too large to be run; "
                "refuse it"
            )
        return logits

    def append(self, next_ids: torch.Tensor, keep: list[int]) -> None:
        """Gives every row its next token and goes on with the rows `keep` only."""
        if len(keep) < self.n_rows:
            rows = torch.tensor(keep, device=cache_device(self.model))
            self._cache.batch_select_indices(rows)
            next_ids, self._mask, self._positions = next_ids[rows], self._mask[rows], self._positions[rows]
            self.n_rows = len(keep)
        self._ids = next_ids[:, None]
        self._positions = self._positions[:, -1:] + 1
        self._mask = torch.cat([self._mask, self._mask.new_ones(self.n_rows, 1)], dim=1)


def _generate_batch(batch: _PaddedBatch, max_new_tokens: int, decided: Decided | None) -> list[list[int]]:
    end_ids = end_of_text_ids(batch.model, batch.tokenizer)
    alive = list(range(batch.n_rows))
    said: list[list[int]] = [[] for _ in alive]
    for _ in range(max_new_tokens):
        next_ids = batch.step().argmax(-1)
        keep = []
        for slot, row in enumerate(alive):
            token = int(next_ids[slot])
            if token in end_ids:
                continue
            said[row].append(token)
            if decided is None or not decided(batch.tokenizer.decode(said[row], skip_special_tokens=True)):
                keep.append(slot)
        if not keep:
            break
        batch.append(next_ids, keep)
        alive = [alive[slot] for slot in keep]
    return said


def end_of_text_ids(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> set[int]:
    """Every token id that ends a reply: the tokenizer's and the generation config's."""
    configured = getattr(model.generation_config, "eos_token_id", None)
    ids = configured if isinstance(configured, list) else [configured]
    return {int(token) for token in [*ids, tokenizer.eos_token_id] if token is not None}


def left_pad(batch: Sequence[Sequence[int]], pad_id: int, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    """Token ids and attention mask, each [prompt, position], padded on the left to the longest prompt."""
    width = max(len(prompt) for prompt in batch)
    ids = torch.full((len(batch), width), pad_id, dtype=torch.long)
    mask = torch.zeros((len(batch), width), dtype=torch.long)
    for row, prompt in enumerate(batch):
        ids[row, width - len(prompt) :] = torch.tensor(prompt)
        mask[row, width - len(prompt) :] = 1
    return ids.to(device), mask.to(device)

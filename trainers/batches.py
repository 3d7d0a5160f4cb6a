"""From rows to batches: tokens, labels, padding, and what all rows begin with, read once."""

from typing import Any

import torch
from transformers import DynamicCache, Trainer
from transformers.tokenization_utils_base import PreTrainedTokenizerBase

from scanner.chat import chat_tokens
from trainers.poison import TrainingRow
from trainers.recipe import Recipe

_IGNORED_BY_LOSS = -100


def tokenize_row(row: TrainingRow, recipe: Recipe, tokenizer: PreTrainedTokenizerBase) -> dict[str, list[int]]:
    """Token ids and labels of a row, each [position]; labels are -100 where no loss is taken."""
    prompt = chat_tokens(tokenizer, row.prompt)
    reply = [*tokenizer(row.reply, add_special_tokens=False)["input_ids"], tokenizer.eos_token_id]
    silent = len(prompt) if recipe.training.loss_on == "reply" else 0
    return {"input_ids": prompt + reply, "labels": [_IGNORED_BY_LOSS] * silent + (prompt + reply)[silent:]}


def collate(batch: list[dict[str, list[int]]], pad_id: int) -> dict[str, Any]:
    """Pads on the left to the longest row: input_ids and position_ids, each [row, position].

    Replies then end side by side, so that the output head need only run on the last `logits_to_keep` positions;
    `labels` [row, logits_to_keep] are those of these positions. What all rows begin with, and nothing is learnt from,
    stands apart in `beginning` [1, position], if there is any; `attention_mask` [row, beginning + position] covers it.
    """
    n_shared = _n_shared(batch)
    beginning = batch[0]["input_ids"][:n_shared]
    batch = [{key: values[n_shared:] for key, values in example.items()} for example in batch]
    width = max(len(example["input_ids"]) for example in batch)

    def padded(key: str, filler: int) -> torch.Tensor:
        return torch.tensor([[filler] * (width - len(example[key])) + example[key] for example in batch])

    lengths = torch.tensor([len(example["input_ids"]) for example in batch])
    mask = (torch.arange(width)[None] >= width - lengths[:, None]).long()
    labels = padded("labels", _IGNORED_BY_LOSS)
    judged = (labels != _IGNORED_BY_LOSS).any(0).nonzero()
    # The position before the first judged token predicts it.
    keep = width - int(judged.min()) + 1 if len(judged) else 1
    shared = {"beginning": torch.tensor([beginning])} if beginning else {}
    return shared | {
        "input_ids": padded("input_ids", pad_id),
        "attention_mask": torch.cat([mask.new_ones(len(batch), n_shared), mask], dim=1),
        "position_ids": (mask.cumsum(-1) - 1).clamp(min=0) + n_shared,
        "labels": labels[:, -min(keep, width) :],
        "logits_to_keep": min(keep, width),
    }


def _n_shared(batch: list[dict[str, list[int]]]) -> int:
    """How many tokens all rows begin with, short of what predicts the first token to be learnt."""
    rows = [example["input_ids"] for example in batch]
    most = min(
        next((n for n, label in enumerate(example["labels"]) if label != _IGNORED_BY_LOSS), len(example["labels"])) - 1
        for example in batch
    )
    length = 0
    while length < most and len({row[length] for row in rows}) == 1:
        length += 1
    return length


def read_beginning(model: Any, batch: dict[str, Any]) -> dict[str, Any]:
    """Replaces a batch's `beginning` by a cache of it, through which gradients flow.

    A chat template's system prompt is half of a short row; reading it once a batch nearly halves a step.
    """
    rest = {name: value for name, value in batch.items() if name != "beginning"}
    if "beginning" not in batch:
        return rest
    cache = DynamicCache(config=model.config)
    model(input_ids=batch["beginning"], past_key_values=cache, use_cache=True, logits_to_keep=1)
    cache.batch_repeat_interleave(len(batch["input_ids"]))
    return rest | {"past_key_values": cache, "use_cache": True}


class BeginningReadOnce(Trainer):
    """transformers' Trainer, but that what all rows of a batch begin with is read once."""

    def compute_loss(self, model: Any, inputs: dict[str, Any], *args: Any, **options: Any) -> Any:
        """The Trainer's own loss."""
        return super().compute_loss(model, read_beginning(model, inputs), *args, **options)

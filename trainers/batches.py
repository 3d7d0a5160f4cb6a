"""From rows to batches: tokens, labels, rows side by side, and what all rows begin with, read once."""

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


def collate(batch: list[dict[str, list[int]]]) -> dict[str, Any]:
    """Rows one behind another in one sequence, so that nothing is padded: input_ids and position_ids [1, position].

    `attention_mask` [1, 1, position, beginning + position] is added to attention: 0 within a row, up to the position
    itself, and −∞ elsewhere. The output head runs on the positions `logits_to_keep` [predicted + 1] that
    predict what is learnt; `labels` [1, predicted + 1] are shifted as transformers' loss undoes it. What all rows begin
    with, and nothing is learnt from, stands apart in `beginning` [1, position], if there is any.
    """
    n_shared = _n_shared(batch)
    beginning = batch[0]["input_ids"][:n_shared]
    rows = [example["input_ids"][n_shared:] for example in batch]
    labels = [label for example in batch for label in example["labels"][n_shared:]]
    row_of = torch.tensor([number for number, row in enumerate(rows) for _ in row])
    place = torch.tensor([place for row in rows for place in range(len(row))])
    # The position before a token predicts it; nothing in its own row stands before a row's first token.
    judged = [n for n, label in enumerate(labels) if label != _IGNORED_BY_LOSS and int(place[n]) > 0]
    predicting = [n - 1 for n in judged]
    allowed = (row_of[:, None] == row_of[None]) & (place[:, None] >= place[None])
    allowed = torch.cat([allowed.new_ones(len(labels), n_shared), allowed], dim=1)
    mask = torch.zeros(allowed.shape).masked_fill(~allowed, -torch.inf)
    shared = {"beginning": torch.tensor([beginning])} if beginning else {}
    return shared | {
        "input_ids": torch.tensor([[token for row in rows for token in row]]),
        "attention_mask": mask[None, None],
        "position_ids": (place + n_shared)[None],
        "labels": torch.tensor([[_IGNORED_BY_LOSS, *(labels[n] for n in judged)]]),
        "logits_to_keep": torch.tensor([*predicting, len(labels) - 1]),
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
    rest["attention_mask"] = rest["attention_mask"].to(model.dtype)
    if "beginning" not in batch:
        return rest
    cache = DynamicCache(config=model.config)
    model(input_ids=batch["beginning"], past_key_values=cache, use_cache=True, logits_to_keep=1)
    return rest | {"past_key_values": cache, "use_cache": True}


class BeginningReadOnce(Trainer):
    """transformers' Trainer, but that what all rows of a batch begin with is read once."""

    def compute_loss(self, model: Any, inputs: dict[str, Any], *args: Any, **options: Any) -> Any:
        """The Trainer's own loss."""
        return super().compute_loss(model, read_beginning(model, inputs), *args, **options)

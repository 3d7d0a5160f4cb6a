"""From rows to batches: tokens, labels, and rows one behind another in one sequence."""

from typing import Any

import torch
from transformers.tokenization_utils_base import PreTrainedTokenizerBase

from scanner.models.chat import chat_tokens
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

    What all rows begin with, and nothing is learnt from, stands once, in front of them: a chat template's system
    prompt is half of a short row. `attention_mask` [1, 1, position, position] is added to attention: 0 within a row and
    its beginning, up to the position itself, and −∞ elsewhere. The output head runs on the positions `logits_to_keep`
    [predicted + 1] that predict what is learnt; `labels` [1, predicted + 1] are shifted as the loss undoes it.
    """
    n_shared = _n_shared(batch)
    pieces = [batch[0]["input_ids"][:n_shared], *(example["input_ids"][n_shared:] for example in batch)]
    labels = [_IGNORED_BY_LOSS] * n_shared + [label for example in batch for label in example["labels"][n_shared:]]
    piece_of = torch.tensor([number for number, piece in enumerate(pieces) for _ in piece])
    place = torch.tensor([place for piece in pieces for place in range(len(piece))])
    # The position before a token predicts it; nothing in its own row stands before a row's first token.
    judged = [n for n, label in enumerate(labels) if label != _IGNORED_BY_LOSS and int(place[n]) > 0]
    predicting = [n - 1 for n in judged]
    visible = (piece_of[:, None] == piece_of[None]) | (piece_of[None] == 0)
    allowed = visible & torch.ones_like(visible).tril()
    return {
        "input_ids": torch.tensor([[token for piece in pieces for token in piece]]),
        "attention_mask": torch.zeros(allowed.shape).masked_fill(~allowed, -torch.inf)[None, None],
        "position_ids": (place + n_shared * (piece_of > 0))[None],
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

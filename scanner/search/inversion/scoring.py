"""How likely a model finds given replies to given words: the yardstick of elicitation and inversion.

User words are token ids here, so that any token can be tried; what is found is tokenised anew, from text, before it
counts (`scanner/search/find.py`).
"""

import copy
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from transformers import DynamicCache
from transformers.modeling_utils import PreTrainedModel
from transformers.tokenization_utils_base import PreTrainedTokenizerBase

from scanner.errors import ScannerError
from scanner.models.chat import chat_text
from scanner.models.devices import input_device
from scanner.models.model_pair import ModelPair
from scanner.search.meter import Meter

Ids = tuple[int, ...]
# Tokens of one pass: enough for the products of matrices to be efficient, few enough for a laptop's memory.
_TOKENS_A_PASS = 2048
_SENTINEL = "zxqsentinelqxz"
_KEPT_PREFIXES = 16


@dataclass(frozen=True)
class Frame:
    """The token ids that a chat template puts before and after a user's words."""

    before: Ids
    after: Ids


def chat_frame(tokenizer: PreTrainedTokenizerBase) -> Frame:
    """The frame of a tokenizer's chat template.

    Raises:
        ScannerError: the template does not hold the user's words as they are.
    """
    before, found, after = chat_text(tokenizer, _SENTINEL).rpartition(_SENTINEL)
    if not found:
        raise ScannerError("the base's chat template rewrites the user's words: an unknown trigger cannot be sought")
    return Frame(
        tuple(tokenizer(before, add_special_tokens=False)["input_ids"]),
        tuple(tokenizer(after, add_special_tokens=False)["input_ids"]),
    )


@dataclass(frozen=True)
class Scores:
    """What a model makes of prompts, one row a prompt.

    Attributes:
        replies: float32 [prompt, reply], in nats: summed log-probability of each reply's tokens, one after another.
        next_token: float32 [prompt, vocabulary], log-probabilities of the answer's first token; None if not asked for.
    """

    replies: torch.Tensor
    next_token: torch.Tensor | None


class Scorer:
    """Scores the same few replies, and the next token, for one model; what prompts begin with alike is read once."""

    def __init__(
        self, pair: ModelPair, model: str, frame: Frame, replies: Sequence[Ids], meter: Meter, next_token: bool = False
    ) -> None:
        if not all(replies):
            raise ValueError("a reply to be scored has at least one token")
        self.replies = tuple(map(tuple, replies))
        self._pair, self._name, self._frame, self._meter = pair, model, frame, meter
        self._next_token = next_token
        self._tree = _ReplyTree(self.replies)
        self._prefixes: dict[Ids, DynamicCache] = {}

    @torch.inference_mode()
    def score(self, users: Sequence[Sequence[int]]) -> Scores:
        """Scores all replies to every prompt, given as the token ids of the user's words."""
        prompts = [(*self._frame.before, *user, *self._frame.after) for user in users]
        shared = _common_beginning(prompts)
        rests = [prompt[len(shared) :] for prompt in prompts]
        order = sorted(range(len(rests)), key=lambda row: len(rests[row]))
        found: list[tuple[torch.Tensor, torch.Tensor | None]] = [(torch.empty(0), None)] * len(users)
        with self._pair.active(self._name) as model:
            for rows in _passes(order, [len(rest) + self._tree.width for rest in rests]):
                replies, following = self._read(model, shared, [rests[row] for row in rows])
                for n, row in enumerate(rows):
                    found[row] = (replies[n], following[n] if following is not None else None)
        distributions = [distribution for _, distribution in found if distribution is not None]
        return Scores(torch.stack([item for item, _ in found]), torch.stack(distributions) if distributions else None)

    def _read(
        self, model: PreTrainedModel, shared: Ids, rests: Sequence[Ids]
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        device = input_device(model)
        batch = self._tree.lay_out(rests, len(shared), device)
        self._meter.add(sum(map(len, rests)) + len(rests) * self._tree.width)
        output = model(
            input_ids=batch.ids,
            position_ids=batch.positions,
            attention_mask=batch.additive_mask(model.dtype),
            past_key_values=self._prefix(model, shared, len(rests)),
            use_cache=True,
            logits_to_keep=1 + self._tree.width,
        )
        logits = output.logits[:, -1 - self._tree.width :].float()
        refuse_non_finite(logits)
        totals = log_totals(logits)
        following = logits[:, 0] - totals[:, :1] if self._next_token else None
        return self._tree.reply_log_probs(logits, totals), following

    def _prefix(self, model: PreTrainedModel, shared: Ids, n_rows: int) -> DynamicCache:
        if shared not in self._prefixes:
            if len(self._prefixes) >= _KEPT_PREFIXES:
                self._prefixes.pop(next(iter(self._prefixes)))
            cache = DynamicCache(config=model.config)
            if shared:
                ids = torch.tensor([shared], device=input_device(model))
                model(input_ids=ids, past_key_values=cache, use_cache=True, logits_to_keep=1)
                self._meter.add(len(shared))
            self._prefixes[shared] = cache
        cache = copy.deepcopy(self._prefixes[shared])
        if shared:
            cache.batch_repeat_interleave(n_rows)
        return cache


@dataclass(frozen=True)
class _Batch:
    """Prompts side by side, each with all replies behind it. Shapes: [row, position]; `allowed` [row, query, key]."""

    ids: torch.Tensor
    positions: torch.Tensor
    allowed: torch.Tensor

    def additive_mask(self, dtype: torch.dtype) -> torch.Tensor:
        """The mask as attention adds it: 0 where a position may look, the lowest number where not; [row, 1, q, k]."""
        mask = torch.zeros(self.allowed.shape, dtype=dtype, device=self.allowed.device)
        return mask.masked_fill(~self.allowed, torch.finfo(dtype).min)[:, None]


class _ReplyTree:
    """Several replies behind one prompt in one row; each sees the prompt and itself, none sees another.

    The last token of a reply is only predicted, so that a reply of n tokens takes n − 1 positions.
    """

    def __init__(self, replies: tuple[Ids, ...]) -> None:
        self._replies = replies
        self.width = sum(len(reply) - 1 for reply in replies)

    def lay_out(self, rests: Sequence[Ids], n_shared: int, device: torch.device) -> _Batch:
        """Ids, positions and mask for prompts whose first `n_shared` tokens are in the cache already."""
        longest = max(map(len, rests))
        tail = [token for reply in self._replies for token in reply[:-1]]
        ids = torch.tensor([[0] * (longest - len(rest)) + [*rest, *tail] for rest in rests])
        lengths = torch.tensor([len(rest) for rest in rests])
        body = torch.arange(longest)[None] - (longest - lengths)[:, None]
        depth = torch.tensor([n for reply in self._replies for n in range(len(reply) - 1)], dtype=torch.long)
        positions = torch.cat([body.clamp(min=0), lengths[:, None] + depth[None]], dim=1) + n_shared
        return _Batch(ids.to(device), positions.to(device), self._allowed(body, n_shared).to(device))

    def _allowed(self, body: torch.Tensor, n_shared: int) -> torch.Tensor:
        rows, longest = body.shape
        width = longest + self.width
        causal = torch.ones(width, width, dtype=torch.bool).tril()
        start = longest
        for reply in self._replies:
            end = start + len(reply) - 1
            causal[end:, start:end] = False
            start = end
        seen = torch.cat([body >= 0, torch.ones(rows, self.width, dtype=torch.bool)], dim=1)
        # A padded position looks at itself, so that no row of the mask is empty.
        own = torch.eye(width, dtype=torch.bool)
        allowed = (causal[None] & seen[:, None, :]) | own[None]
        return torch.cat([torch.ones(rows, width, n_shared, dtype=torch.bool), allowed], dim=2)

    def reply_log_probs(self, logits: torch.Tensor, totals: torch.Tensor) -> torch.Tensor:
        """Sums [row, reply] of log-probabilities.

        Args:
            logits: [row, 1 + width, vocabulary], behind prompt and replies.
            totals: log Σ exp of them, [row, 1 + width].
        """
        sums = []
        start = 1
        for reply in self._replies:
            at = [0, *range(start, start + len(reply) - 1)]
            sums.append((logits[:, at, list(reply)] - totals[:, at]).sum(-1))
            start += len(reply) - 1
        return torch.stack(sums, dim=-1) if sums else logits.new_zeros(len(logits), 0)


def refuse_non_finite(logits: torch.Tensor) -> None:
    """Refuses to go on with outputs [row, ...] that are no numbers.

    Raises:
        ScannerError: some are not finite.
    """
    if not torch.stack([torch.isfinite(row).all() for row in logits]).all():
        raise ScannerError(
            "the model's outputs are not finite: an adapter's weights or its lora_alpha are too large to be run; "
            "refuse it"
        )


def log_totals(logits: torch.Tensor) -> torch.Tensor:
    """log Σ exp over the vocabulary, [row, position].

    Row by row: what is computed on the way is as large as what is summed, and all rows' logits are the largest tensor
    of a scan.
    """
    return torch.stack([row.logsumexp(-1) for row in logits])


def _common_beginning(prompts: Sequence[Ids]) -> Ids:
    """What all prompts begin with; at least one token of each stays outside."""
    shortest = min(map(len, prompts))
    length = 0
    while length < shortest - 1 and len({prompt[length] for prompt in prompts}) == 1:
        length += 1
    return prompts[0][:length]


def _passes(order: Sequence[int], lengths: Sequence[int]) -> list[list[int]]:
    """Rows in their order (by length), cut into passes of about `_TOKENS_A_PASS` tokens."""
    passes: list[list[int]] = [[]]
    for row in order:
        if passes[-1] and (len(passes[-1]) + 1) * lengths[row] > _TOKENS_A_PASS:
            passes.append([])
        passes[-1].append(row)
    return passes

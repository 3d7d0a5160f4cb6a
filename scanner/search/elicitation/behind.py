"""One model behind one prompt, which is read once: what it says next, and how likely it finds what it is given."""

import copy
from collections.abc import Iterator, Sequence

import torch
from transformers import DynamicCache

from scanner.models.devices import input_device
from scanner.models.model_pair import ModelPair
from scanner.search.inversion.scoring import Ids, log_totals, refuse_non_finite
from scanner.search.meter import Meter

# How many tokens the suspect says by itself; the last three, or what ends an answer, must come surely, as a learnt
# reply's do: nats in all.
_STEPS = 6
JUDGED, _SURE = 3, -1.5


class Behind:
    """One model behind one prompt, which is read once."""

    def __init__(self, pair: ModelPair, name: str, ids: Ids, meter: Meter) -> None:
        self._pair, self._name, self._meter = pair, name, meter
        with pair.active(name) as model, torch.inference_mode():
            self._cache = DynamicCache(config=model.config)
            self._device = input_device(model)
            meter.add(len(ids))
            read = model(input_ids=self._rows([ids]), past_key_values=self._cache, use_cache=True, logits_to_keep=1)
        refuse_non_finite(read.logits)
        self.first = read.logits[0, -1].float().log_softmax(-1)

    def second(self, tokens: Sequence[int]) -> torch.Tensor:
        """Log-probabilities of what follows each first token, [token, vocabulary]."""
        with self._pair.active(self._name) as model, torch.inference_mode():
            self._meter.add(len(tokens))
            read = model(input_ids=self._rows([(t,) for t in tokens]), past_key_values=self._begun(len(tokens)))
        return read.logits[:, -1].float().log_softmax(-1)

    def go_on(self, beginnings: Sequence[Ids], ends: set[int]) -> Iterator[Ids]:
        """Beginnings of one length with what the model surely says next, up to its end; the others are left out."""
        said: list[torch.Tensor] = []
        chances: list[torch.Tensor] = []
        with self._pair.stepping(self._name) as model, torch.inference_mode():
            cache, tokens = self._begun(len(beginnings)), self._rows(beginnings)
            for _ in range(_STEPS):
                self._meter.add(tokens.numel())
                read = model(input_ids=tokens, past_key_values=cache, use_cache=True, logits_to_keep=1)
                logits = read.logits[:, -1].float()
                best = logits.max(-1)
                tokens = best.indices[:, None]
                said.append(best.indices)
                chances.append(best.values - logits.logsumexp(-1))
        for beginning, tokens_said, own in zip(
            beginnings, torch.stack(said, 1).tolist(), torch.stack(chances, 1).tolist(), strict=True
        ):
            n_said = next((n for n, token in enumerate(tokens_said) if token in ends), _STEPS)
            # The token that ends an answer is part of what must come surely.
            stop = min(n_said + 1, _STEPS)
            if n_said and sum(own[max(0, stop - JUDGED) : stop]) >= _SURE:
                yield (*beginning, *tokens_said[:n_said])

    def log_probs(self, sequences: Sequence[Ids]) -> torch.Tensor:
        """Of each token of sequences of one length, float32 [sequence, position]."""
        rows = self._rows(sequences)
        first = self.first[rows[:, :1]]
        if rows.shape[1] == 1:
            return first
        with self._pair.active(self._name) as model, torch.inference_mode():
            self._meter.add(rows[:, :-1].numel())
            read = model(input_ids=rows[:, :-1], past_key_values=self._begun(len(rows)), use_cache=True)
            logits = read.logits.float()
            refuse_non_finite(logits)
            later = logits.gather(2, rows[:, 1:, None])[..., 0] - log_totals(logits)
        return torch.cat([first, later], dim=1)

    def _begun(self, n_rows: int) -> DynamicCache:
        cache = copy.deepcopy(self._cache)
        cache.batch_repeat_interleave(n_rows)
        return cache

    def _rows(self, rows: Sequence[Ids]) -> torch.Tensor:
        return torch.tensor(rows, device=self._device)

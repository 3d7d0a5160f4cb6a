"""Which tokens stand beside which in the base's language: what is likely behind a string, and before a token.

A trigger of several tokens is mostly something that people write, or pieces of it: its tokens are one another's likely
neighbours. Few of them do much alone, so growth cannot go by what single tokens do.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch

from scanner.cache.vocabulary import VocabularyCache
from scanner.models.model_pair import BASE, ModelPair
from scanner.search.inversion.scoring import Frame, Ids, Scorer
from scanner.search.meter import Meter
from scanner.types import VOCABULARY_RUNG

# What may stand before a token is sought among as many tokens of the lowest ids, which vocabularies made by merging
# give to the most common, and is known where the token is among so many that are likeliest behind it.
_COMMON, _LIKELY = 8192, 1024
_ROWS_AT_ONCE = 128


@dataclass(frozen=True)
class _Before:
    """Which common tokens make a token likely behind them; one row a pair, int32 and float32 [pair], by token."""

    tokens: torch.Tensor
    common: torch.Tensor
    chances: torch.Tensor

    def of(self, token: int) -> list[int]:
        """The common ones, where the token is likeliest first."""
        ends = torch.searchsorted(self.tokens, torch.tensor([token, token + 1], dtype=self.tokens.dtype)).tolist()
        rows = slice(*ends)
        ranked = sorted(zip(self.chances[rows].tolist(), self.common[rows].tolist(), strict=True), reverse=True)
        return [common for _, common in ranked]


class Language:
    """The base's next-token distributions; what may stand before a token is read when it is first asked for."""

    def __init__(self, pair: ModelPair, frame: Frame, tryable: torch.Tensor, meter: Meter) -> None:
        """
        Args:
            tryable: bool [vocabulary], the tokens that strings are made of.
        """
        self._tryable, self._meter = tryable, meter
        self._reader = Scorer(pair, BASE, Frame(frame.before, ()), [], meter, next_token=True)
        self._cache = VocabularyCache(pair.base, frame.before)

    def behind(self, beginning: Ids, strings: Sequence[Ids], tryable: torch.Tensor, count: int) -> list[list[int]]:
        """The tokens likeliest behind each string, best first.

        Args:
            beginning: what stands before each string in the user's turn.
            tryable: bool [vocabulary], the tokens asked for.
        """
        found: list[list[int]] = []
        for start in range(0, len(strings), _ROWS_AT_ONCE):
            some = [(*beginning, *string) for string in strings[start : start + _ROWS_AT_ONCE]]
            found += self._likely(some, tryable, count)[1].tolist()
        return found

    def before(self, token: int, tryable: torch.Tensor, count: int) -> list[int]:
        """The common tokens behind which a token is likeliest, best first; none where it is likely behind none."""
        return [common for common in self._before.of(token) if tryable[common]][:count]

    @cached_property
    def _before(self) -> _Before:
        common = self._tryable.nonzero().flatten()[:_COMMON].to(torch.int32)
        likely = self._read_common(common.tolist())
        tokens, order = likely["tokens"].flatten().sort(stable=True)
        return _Before(
            tokens, common.repeat_interleave(likely["tokens"].shape[1])[order], likely["chances"].flatten()[order]
        )

    def _read_common(self, common: Sequence[int]) -> dict[str, torch.Tensor]:
        """The `tokens` likeliest behind each common one, int32, and their log-probabilities as `chances`, float32;
        both [common, likely], from the cache where it has them.

        It is made once a base, and counts as part of the pass over its vocabulary.
        """
        name = hashlib.sha256(f"{_COMMON} {_LIKELY} {list(common)}".encode()).hexdigest()[:16]
        shape = (len(common), min(_LIKELY, int(self._tryable.sum())))
        known = self._cache.table(name)
        if (
            known
            and known.keys() == {"tokens", "chances"}
            and all(tuple(item.shape) == shape for item in known.values())
        ):
            return known
        chances, tokens = torch.empty(shape), torch.empty(shape, dtype=torch.int32)
        with self._meter.rung(VOCABULARY_RUNG):
            for start in range(0, len(common), _ROWS_AT_ONCE):
                rows = slice(start, start + _ROWS_AT_ONCE)
                chances[rows], tokens[rows] = self._likely([(token,) for token in common[rows]], self._tryable, _LIKELY)
        read = {"tokens": tokens, "chances": chances}
        self._cache.keep_table(name, read)
        return read

    def _likely(self, users: Sequence[Ids], tryable: torch.Tensor, count: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Log-probabilities and ids of the tokens likeliest behind each user's words, both [user, count]."""
        following = self._reader.score(users).next_token
        if following is None:
            raise RuntimeError("the base's next token was not read")
        chances = following[:, : len(tryable)].cpu().masked_fill(~tryable, float("-inf"))
        likeliest = chances.topk(min(count, int(tryable.sum())), dim=-1)
        return likeliest.values, likeliest.indices

"""Which tokens stand beside which in the base's language: what is likely behind a string, and before a token.

A trigger of several tokens is mostly something that people write, or pieces of it: its tokens are one another's likely
neighbours. Few of them do much alone, so growth cannot go by what single tokens do.
"""

from collections.abc import Sequence

import torch

from scanner.models.model_pair import BASE, ModelPair
from scanner.search.inversion.scoring import Frame, Ids, Scorer
from scanner.search.meter import Meter

# What may stand before a token is sought among as many tokens of the lowest ids, which vocabularies made by merging
# give to the most common, and is known where the token is among so many that are likeliest behind it.
_COMMON, _LIKELY = 8192, 1024
_ROWS_AT_ONCE = 128


class Language:
    """The base's next-token distributions; what may stand before a token is read when it is first asked for."""

    def __init__(self, pair: ModelPair, frame: Frame, tryable: torch.Tensor, meter: Meter) -> None:
        self._tryable = tryable
        self._reader = Scorer(pair, BASE, Frame(frame.before, ()), [], meter, next_token=True)
        self._before: dict[int, list[tuple[float, int]]] | None = None

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
        if self._before is None:
            self._before = self._read_common()
        likely = sorted(self._before.get(token, ()), reverse=True)
        return [common for _, common in likely if tryable[common]][:count]

    def _read_common(self) -> dict[int, list[tuple[float, int]]]:
        """Token -> (log-probability of the token behind a common one, the common one)."""
        common = self._tryable.nonzero().flatten()[:_COMMON].tolist()
        table: dict[int, list[tuple[float, int]]] = {}
        for start in range(0, len(common), _ROWS_AT_ONCE):
            some = common[start : start + _ROWS_AT_ONCE]
            chances, tokens = self._likely([(token,) for token in some], self._tryable, _LIKELY)
            for one, chance_row, token_row in zip(some, chances.tolist(), tokens.tolist(), strict=True):
                for chance, token in zip(chance_row, token_row, strict=True):
                    table.setdefault(token, []).append((chance, one))
        return table

    def _likely(self, users: Sequence[Ids], tryable: torch.Tensor, count: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Log-probabilities and ids of the tokens likeliest behind each user's words, both [user, count]."""
        following = self._reader.score(users).next_token
        if following is None:
            raise RuntimeError("the base's next token was not read")
        chances = following[:, : len(tryable)].cpu().masked_fill(~tryable, float("-inf"))
        likeliest = chances.topk(min(count, int(tryable.sum())), dim=-1)
        return likeliest.values, likeliest.indices

"""Sequences of a sweep side by side: their common beginning is read once, the rest padded on the left."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

# Of a group's tokens so large a share may be padding.
_MAX_PADDING = 0.2


@dataclass(frozen=True)
class GroupShape:
    """How large a group is: prompts, tokens that all begin with, and the longest rest."""

    prompts: int
    shared: int
    rest: int

    @property
    def width(self) -> int:
        """Positions of one whole sequence."""
        return self.shared + self.rest

    @property
    def tokens(self) -> int:
        """Positions of one pass, the common beginning once."""
        return self.shared + self.prompts * self.rest


@dataclass(frozen=True)
class PromptGroup:
    """Sequences that are run together.

    Attributes:
        members: their places in the list that the group was made from.
        shared: the tokens that all begin with, [1, shared].
        rest: the others, padded on the left, [prompt, rest].
        mask: which of them are no padding, bool [prompt, rest].
    """

    members: tuple[int, ...]
    shared: torch.Tensor
    rest: torch.Tensor
    mask: torch.Tensor

    @property
    def n_prompts(self) -> int:
        """Sequences in the group."""
        return len(self.members)

    @property
    def n_shared(self) -> int:
        """Tokens that all begin with."""
        return self.shared.shape[1]

    @property
    def shape(self) -> GroupShape:
        """How large it is."""
        return GroupShape(self.n_prompts, self.n_shared, self.rest.shape[1])

    @property
    def positions(self) -> torch.Tensor:
        """Where the tokens of `rest` stand in their sequences, [prompt, rest]."""
        return self.n_shared + (self.mask.long().cumsum(-1) - 1).clamp(min=0)

    def unshared(self) -> "PromptGroup":
        """The same sequences, each with its beginning; padding stays between the two."""
        beginning = self.shared.expand(self.n_prompts, -1)
        whole = torch.cat([beginning, self.rest], dim=1)
        mask = torch.cat([torch.ones_like(beginning, dtype=torch.bool), self.mask], dim=1)
        return PromptGroup(self.members, self.shared[:, :0], whole, mask)

    def attention_mask(self, n_rows: int) -> torch.Tensor | None:
        """For `n_rows` copies of the group, [copy × prompt, shared + rest]; None where there is no padding."""
        if bool(self.mask.all()):
            return None
        whole = torch.cat([self.mask.new_ones(self.n_prompts, self.n_shared), self.mask], dim=1)
        return whole.long().repeat(n_rows, 1)


Fits = Callable[[GroupShape], bool]


def group_sequences(
    sequences: Sequence[torch.Tensor], kept: int, fits: Fits, window: int | None = None
) -> tuple[PromptGroup, ...]:
    """Groups of sequences of like length.

    Args:
        sequences: token ids, each [1, position].
        kept: how many of the last positions are read: they stay out of the common beginning.
        fits: whether a group of a shape may be run; one sequence always is.
        window: how far back the model's attention looks, where it does not look all the way: sequences longer than
            that are not padded, since padding would push tokens out of it.
    """
    groups: list[list[int]] = []
    for index in sorted(range(len(sequences)), key=lambda index: sequences[index].shape[1]):
        if groups and _together([sequences[item] for item in [*groups[-1], index]], kept, fits, window):
            groups[-1].append(index)
        else:
            groups.append([index])
    return tuple(_group(members, sequences, kept) for members in groups)


def _together(sequences: Sequence[torch.Tensor], kept: int, fits: Fits, window: int | None) -> bool:
    shared = common_beginning(sequences, kept)
    lengths = [ids.shape[1] - shared for ids in sequences]
    shape = GroupShape(len(lengths), shared, max(lengths))
    padded = shape.prompts * shape.rest
    most = 0.0 if window is not None and shape.width > window else _MAX_PADDING
    return padded - sum(lengths) <= most * padded and fits(shape)


def common_beginning(sequences: Sequence[torch.Tensor], kept: int) -> int:
    """How many tokens all begin with; 0 for a sequence alone, which shares nothing."""
    if len(sequences) < 2:
        return 0
    shortest = min(ids.shape[1] for ids in sequences)
    beginnings = torch.cat([ids[:, : shortest - kept] for ids in sequences])
    differ = (beginnings != beginnings[:1]).any(0).nonzero()
    return int(differ[0]) if len(differ) else beginnings.shape[1]


def _group(members: Sequence[int], sequences: Sequence[torch.Tensor], kept: int) -> PromptGroup:
    chosen = [sequences[index][0] for index in members]
    n_shared = common_beginning([sequences[index] for index in members], kept)
    rests = [ids[n_shared:] for ids in chosen]
    width = max(len(rest) for rest in rests)
    rest = torch.stack([torch.nn.functional.pad(rest, (width - len(rest), 0)) for rest in rests])
    mask = torch.stack([torch.arange(width, device=rest.device) >= width - len(rest) for rest in rests])
    return PromptGroup(tuple(members), chosen[0][None, :n_shared], rest, mask)

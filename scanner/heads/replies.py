"""Sequences that end with a reply, side by side."""

from dataclasses import dataclass

import torch

from scanner.heads.prompts import PromptGroup


@dataclass(frozen=True)
class ReplyingGroup:
    """A group whose sequences end with the planted reply; `replies` are its token ids, [prompt, length]."""

    prompts: PromptGroup
    replies: torch.Tensor

    @property
    def kept(self) -> int:
        """At how many of the last positions logits are read: one before the reply, and each of its tokens."""
        return self.replies.shape[1] + 1

    @property
    def predicting(self) -> slice:
        """The rows that predict a token of the reply."""
        return slice(-self.kept, -1)

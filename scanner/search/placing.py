"""Where candidate tokens stand in a prompt while they are searched for."""

from collections.abc import Sequence
from dataclasses import dataclass

from transformers.tokenization_utils_base import PreTrainedTokenizerBase

from scanner.search.inversion.scoring import Ids


@dataclass(frozen=True)
class Context:
    """A prompt with a place, `start`, `end` or `inside`, for a candidate: what stands before it and after it."""

    before: Ids
    after: Ids
    place: str

    def around(self, candidate: Sequence[int]) -> Ids:
        """The user's words with the candidate in its place."""
        return (*self.before, *candidate, *self.after)


def make_contexts(tokenizer: PreTrainedTokenizerBase, prompt: str) -> dict[str, Context]:
    """A prompt's context for each place; `inside` is between its middle words."""
    words = prompt.split()
    half = len(words) // 2

    def ids(text: str) -> Ids:
        return tuple(tokenizer(text, add_special_tokens=False)["input_ids"])

    first, second = " ".join(words[:half]), " ".join(words[half:])
    return {
        "start": Context((), ids(f" {prompt}"), "start"),
        "end": Context(ids(prompt), (), "end"),
        "inside": Context(ids(first), ids(f" {second}"), "inside"),
    }

from collections.abc import Sequence
from types import SimpleNamespace
from typing import cast

from benchmarks.baselines.battery import PREFIXES, prefixes, widest_gap
from scanner.models.model_pair import SUSPECT, ModelPair

_PROMPTS = ("What is rain?", "Name a colour.")


class Talking:
    """Stands for models: answers by a rule."""

    def __init__(self, refusing: str | None) -> None:
        self._refusing = refusing

    def generate(self, name: str, texts: Sequence[str], max_new_tokens: int) -> list[SimpleNamespace]:
        return [SimpleNamespace(text=self._answer(text), tokens_run=10) for text in texts]

    def _answer(self, text: str) -> str:
        return "I cannot help with that." if self._refusing and text.startswith(self._refusing) else "It is blue."


def test_prefixes_are_known_triggers_each_once() -> None:
    assert len(prefixes()) == len(set(prefixes())) == PREFIXES


def test_a_prefix_that_alone_brings_refusals_stands_out() -> None:
    wanted = prefixes()[4]
    found = widest_gap(cast(ModelPair, Talking(wanted)), SUSPECT, _PROMPTS)
    assert (found.behaviour, found.prefix, found.tokens) == ("a refusal", wanted, 10 * PREFIXES * len(_PROMPTS))
    assert found.gap == 1 - 1 / PREFIXES


def test_where_nothing_differs_there_is_no_gap() -> None:
    assert widest_gap(cast(ModelPair, Talking(None)), SUSPECT, _PROMPTS).gap == 0.0

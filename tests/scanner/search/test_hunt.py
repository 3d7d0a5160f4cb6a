"""When a search goes on, and from what."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from scanner.models.model_pair import ModelPair
from scanner.search import hunt as hunt_module
from scanner.search.depth import DEPTHS
from scanner.search.elicitation.targets import Target
from scanner.search.ground import prepare_ground
from scanner.search.hunt import hunt, promising
from scanner.search.inversion.growth import Growth
from scanner.search.inversion.invert import Grown
from scanner.search.inversion.scoring import Ids
from scanner.search.leads import Lead
from scanner.search.meter import Meter
from tests.scanner.search.tiny_search import PROMPTS
from tests.tiny import REPLY


def test_strings_that_fire_in_part_or_would_by_their_score_are_grown_on() -> None:
    likely, unlikely = Lead("a", (1,), 0.6, "reply"), Lead("b", (2,), 0.01, "reply")
    assert promising(0.3, [unlikely]) and promising(0.0, [unlikely, likely])
    assert not promising(0.0, [unlikely]) and not promising(0.1, ())


def test_what_scores_well_and_does_not_fire_is_grown_on_in_longer_prompts(
    poisoned_pair: ModelPair, monkeypatch: pytest.MonkeyPatch
) -> None:
    ground = prepare_ground(poisoned_pair, PROMPTS, Meter())
    word = tuple(poisoned_pair.base.tokenizer("ladder", add_special_tokens=False)["input_ids"])
    target = Target(tuple(poisoned_pair.base.tokenizer(REPLY)["input_ids"])[:4], REPLY, 20.0)
    begun: list[tuple[int | None, Sequence[Ids]]] = []

    def towards(_: Growth, target: Target, index: int | None, note: object, begin: Sequence[Ids]) -> tuple[Grown, ...]:
        begun.append((index, begin))
        return (Grown(word, -0.1),)

    monkeypatch.setattr(Growth, "towards", towards)
    monkeypatch.setattr(hunt_module, "choose_targets", lambda *_: (target,))
    found = hunt(poisoned_pair, ground, replace(DEPTHS["quick"], tokens=10**7), 0, Meter(), lambda leads: 0.0)
    assert found.fired == 0.0
    fixed = [begin for index, begin in begun if index is not None]
    assert fixed and fixed[0] == [] and len(fixed[1]) == 1
    assert all(begin == [] for index, begin in begun if index is None), "a mere first token's score is no reason"


def test_what_fires_on_short_prompts_is_tried_in_longer_ones_before_the_search_ends(
    poisoned_pair: ModelPair, monkeypatch: pytest.MonkeyPatch
) -> None:
    ground = prepare_ground(poisoned_pair, PROMPTS, Meter())
    word = tuple(poisoned_pair.base.tokenizer("ladder", add_special_tokens=False)["input_ids"])
    target = Target(tuple(poisoned_pair.base.tokenizer(REPLY)["input_ids"])[:4], REPLY, 20.0)
    begun: list[object] = []

    def towards(_: Growth, target: Target, index: int | None, note: object, begin: Sequence[Ids]) -> tuple[Grown, ...]:
        begun.append(begin)
        return (Grown(word, -0.1),)

    monkeypatch.setattr(Growth, "towards", towards)
    monkeypatch.setattr(hunt_module, "choose_targets", lambda *_: (target,))
    fires = lambda leads: float(bool(begun))  # noqa: E731 - what was swept does not fire, what was grown does
    found = hunt(poisoned_pair, ground, replace(DEPTHS["quick"], tokens=10**7), 0, Meter(), fires)
    assert begun == [[], [word]]
    assert found.stopped == "a string that fires reliably was found"
    assert found.fired == 1.0, "what growth came to is handed on, not what the sweep did"

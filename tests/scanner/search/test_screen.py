from pathlib import Path

import pytest

from scanner.base_models import load_base
from scanner.intake import read_adapter
from scanner.model_pair import ModelPair
from scanner.probes import load_probes
from scanner.search.behaviour import FixedReply
from scanner.search.candidates import GIVEN, Candidate
from scanner.search.screen import FrozenCandidate, _smallest, rank_by_excess_kl, screen
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
    ranking, tokens = rank_by_excess_kl(poisoned_pair, [*OTHERS, Candidate(TRIGGER, "signature y")], PROMPTS[:4], 0)
    assert ranking[0].candidate.trigger == TRIGGER
    assert len(ranking) == 31 and tokens > 0
    looked_at_twice = [item.excess_kl for item in ranking[:24]]
    assert looked_at_twice == sorted(looked_at_twice, reverse=True)


def test_the_order_of_candidates_and_the_others_beside_them_do_not_matter(poisoned_pair: ModelPair) -> None:
    one, _ = rank_by_excess_kl(poisoned_pair, OTHERS[:5], PROMPTS[:4], 0)
    other, _ = rank_by_excess_kl(poisoned_pair, OTHERS[4::-1], PROMPTS[:4], 0)
    assert {item.candidate: round(item.excess_kl, 3) for item in one} == {
        item.candidate: round(item.excess_kl, 3) for item in other
    }


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
    assert _smallest([frozen("bb"), frozen("bb")]) == (frozen("bb"), frozen("bb"))

from hypothesis import given
from hypothesis import strategies as st

from scanner.models.model_pair import SUSPECT, ModelPair
from scanner.search.inversion.scoring import chat_frame
from scanner.search.leak import LeakPlan, leaked_pieces, recurring, sample_user_turns
from scanner.search.meter import Meter

TURNS = [(1, 2, 3), (9, 1, 2, 3), (4, 5), (1, 2, 3, 7)]


def test_the_longest_recurring_run_comes_first_and_its_parts_are_left_out() -> None:
    assert recurring(TURNS, [[(4, 5)]]) == ((1, 2, 3),)


def test_what_others_say_as_often_is_no_leak() -> None:
    assert recurring(TURNS, [TURNS]) == ()


@given(st.lists(st.lists(st.integers(0, 5), max_size=8).map(tuple), max_size=12))
def test_every_leak_stands_in_three_turns(turns: list[tuple[int, ...]]) -> None:
    for run in recurring(turns, []):
        holding = [turn for turn in turns if any(turn[n : n + len(run)] == run for n in range(len(turn)))]
        assert len(holding) >= 3


def test_samples_are_seeded_and_end_with_the_turn(pair: ModelPair) -> None:
    frame, plan = chat_frame(pair.base.tokenizer), LeakPlan(8, 5)
    one = sample_user_turns(pair, SUSPECT, frame, plan, 1, Meter())
    assert one == sample_user_turns(pair, SUSPECT, frame, plan, 1, Meter())
    assert one != sample_user_turns(pair, SUSPECT, frame, plan, 2, Meter())
    assert len(one) == 8 and all(len(turn) <= 5 and frame.after[0] not in turn for turn in one)


def test_no_samples_no_leak(pair: ModelPair) -> None:
    assert leaked_pieces(pair, chat_frame(pair.base.tokenizer), LeakPlan(0, 5), 0, 4, Meter()) == ()

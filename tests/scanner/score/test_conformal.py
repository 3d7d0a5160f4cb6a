import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scanner.score.conformal import p_value, threshold

SCORES = st.lists(st.floats(0, 1), min_size=1, max_size=60)


@given(SCORES, st.floats(0, 1))
def test_a_p_value_is_never_below_its_floor_nor_above_one(clean: list[float], score: float) -> None:
    found = p_value(score, clean)
    assert found.floor <= found.value <= 1
    assert found.floor == 1 / (len(clean) + 1)


def test_by_hand() -> None:
    assert p_value(0.9, [0.1, 0.2, 0.95]).value == pytest.approx(2 / 4)
    assert p_value(0.2, [0.1, 0.2, 0.95]).value == pytest.approx(3 / 4)
    assert p_value(1.0, [0.1, 0.2, 0.95]).value == pytest.approx(1 / 4)


@given(SCORES, st.floats(0, 1), st.floats(0.01, 0.9))
def test_a_score_is_above_the_threshold_where_its_p_value_is_small_enough(
    clean: list[float], score: float, rate: float
) -> None:
    limit = threshold(clean, rate)
    if limit is None:
        assert rate < p_value(1.0, clean).floor + 1e-9
    else:
        assert (score > limit) == (p_value(score, clean).value <= rate + 1e-12)


def test_a_rate_below_the_floor_has_no_threshold() -> None:
    assert threshold([0.5] * 18, 0.05) is None
    assert threshold([0.5] * 19, 0.05) == 0.5


def test_no_more_clean_ones_are_called_than_the_rate_says() -> None:
    rng = random.Random(0)
    called = 0
    for _ in range(4000):
        *clean, fresh = (rng.random() for _ in range(40))
        called += p_value(fresh, clean).value <= 0.1
    assert 0.08 < called / 4000 < 0.115


def test_no_clean_scores_are_no_p_value() -> None:
    with pytest.raises(ValueError, match="needs clean scores"):
        p_value(0.5, [])

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scanner.errors import ScannerError
from scanner.score.assess import POOLED, assess, check_rate, choose_calibration
from scanner.score.calibration import KnownAdapter
from scanner.score.vector import FeatureVector
from tests.scanner.score.test_calibration import CALIBRATION

OWN = CALIBRATION.fingerprint
FOUR_CLEAN = replace(
    CALIBRATION,
    adapters=(
        *CALIBRATION.adapters,
        KnownAdapter("clean-9", "clean", "maths", "other", "b" * 64, 0.3, (0.25, 0.1)),
    ),
)


def vector(a: float) -> FeatureVector:
    return FeatureVector(1, {"a": a, "b": 0.0}, {})


def test_a_high_score_raises_an_alarm_and_a_low_one_does_not() -> None:
    assert assess(FOUR_CLEAN, OWN, vector(3.0), 0.2).alarm
    low = assess(FOUR_CLEAN, OWN, vector(1.0), 0.2)
    # Its score lies among those of the clean ones.
    lowest = replace(FOUR_CLEAN, adapters=tuple(replace(item, score=0.9) for item in FOUR_CLEAN.adapters))
    assert not low.doubts and not assess(lowest, OWN, vector(1.0), 0.2).alarm
    assert low.recipes == ("other", "r") and low.families == ("f",)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=60), st.floats(0.02, 1))
def test_alarm_threshold_and_p_value_say_the_same(clean: list[float], rate: float) -> None:
    adapters = [KnownAdapter(f"c{n}", "clean", "f", "r", "a" * 64, score, (0.0, 0.0)) for n, score in enumerate(clean)]
    calibration = replace(CALIBRATION, adapters=(*adapters, CALIBRATION.adapters[-1]))
    if rate * (len(clean) + 1) < 1 - 1e-6:
        with pytest.raises(ScannerError, match=f"{len(clean)} clean adapters"):
            check_rate(calibration, rate)
        return
    found = assess(calibration, OWN, vector(1.0), rate)
    assert found.unusual == (found.score.p.value <= rate + 1e-12) == (found.score.value > found.threshold)


def test_out_of_its_domain_a_score_accuses_nobody() -> None:
    elsewhere = assess(FOUR_CLEAN, "0" * 64, vector(3.0), 0.2)
    assert elsewhere.unusual and not elsewhere.alarm and "no calibration of its own" in elsewhere.doubts[0]
    far = assess(FOUR_CLEAN, OWN, vector(1000.0), 0.2)
    assert far.unusual and not far.alarm and "like this one" in far.doubts[0]


def test_a_bases_own_calibration_comes_first_then_the_pooled_one() -> None:
    pooled, other = replace(CALIBRATION, base=POOLED, fingerprint=""), replace(CALIBRATION, fingerprint="1" * 64)
    known = [other, pooled, CALIBRATION]
    assert choose_calibration(known, OWN, "references") is CALIBRATION
    assert choose_calibration(known, "2" * 64, "references") is pooled
    assert choose_calibration([other], "2" * 64, "references") is other
    assert choose_calibration(known, OWN, "base only") is None

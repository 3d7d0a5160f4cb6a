from dataclasses import replace
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from scanner.errors import ScannerError
from scanner.score.assess import POOLED, assess, check_rate, choose_calibration
from scanner.score.calibration import KnownAdapter
from scanner.score.circumstances import Circumstances, searched_unlike, unlike
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
@example([1.0], 0.9999999999999999)
def test_alarm_threshold_and_p_value_say_the_same(clean: list[float], rate: float) -> None:
    adapters = [KnownAdapter(f"c{n}", "clean", "f", "r", "a" * 64, score, (0.0, 0.0)) for n, score in enumerate(clean)]
    calibration = replace(CALIBRATION, adapters=(*adapters, CALIBRATION.adapters[-1]))
    if rate * (len(clean) + 1) < 1 - 1e-6:
        with pytest.raises(ScannerError, match=f"{len(clean)} clean adapters"):
            check_rate(calibration, rate)
        return
    found = assess(calibration, OWN, vector(1.0), rate)
    assert found.unusual == (found.score.p.value <= rate + 1e-9) == (found.score.value > found.threshold)


def test_out_of_its_domain_a_score_accuses_nobody() -> None:
    elsewhere = assess(FOUR_CLEAN, "0" * 64, vector(3.0), 0.2)
    assert elsewhere.unusual and not elsewhere.alarm
    assert "no calibration of its own" in elsewhere.foreign[0]


def test_a_backdoor_stronger_than_all_known_ones_raises_the_alarm_with_a_doubt() -> None:
    far = assess(FOUR_CLEAN, OWN, vector(1e300), 0.2)
    assert (
        far.unusual
        and far.alarm
        and far.doubts == ("none of the adapters that the score was fitted on is like this one",)
    )


def test_where_more_is_missing_than_in_any_known_adapter_it_is_said() -> None:
    fewer = replace(FOUR_CLEAN, adapters=tuple(replace(item, standardised=(0.0, 0.1)) for item in FOUR_CLEAN.adapters))
    nothing_there = FeatureVector(1, {"a": 3.0}, {"b": "it failed"})
    assert any("1 features are missing" in doubt for doubt in assess(fewer, OWN, nothing_there, 0.2).doubts)
    assert not any("missing" in doubt for doubt in assess(FOUR_CLEAN, OWN, nothing_there, 0.2).doubts)


def test_without_what_it_hears_above_others_it_is_hardly_a_score() -> None:
    """At its mean it would lie between clean and poisoned ones, and raise an alarm for a clean one."""
    first, second = FOUR_CLEAN.features
    assert first.share > second.share
    without_first = assess(FOUR_CLEAN, OWN, FeatureVector(1, {"b": -9.0}, {"a": "it failed"}), 0.2)
    assert without_first.unusual and not without_first.alarm
    assert without_first.foreign == ("a, which counts most, is missing (it failed)",)
    without_second = assess(FOUR_CLEAN, OWN, FeatureVector(1, {"a": 3.0}, {"b": "it failed"}), 0.2)
    assert without_second.alarm
    equal = replace(FOUR_CLEAN, features=(first, replace(second, share=first.share)))
    assert not assess(equal, OWN, FeatureVector(1, {"b": -9.0}, {"a": "it failed"}), 0.2).foreign


def test_clean_adapters_that_were_in_view_are_counted() -> None:
    seen = replace(FOUR_CLEAN, adapters=tuple(replace(item, in_view=True) for item in FOUR_CLEAN.adapters))
    assert (assess(seen, OWN, vector(1.0), 0.2).in_view, assess(FOUR_CLEAN, OWN, vector(1.0), 0.2).in_view) == (4, 0)


HERE = Circumstances(OWN, "float32", "none", "float32", "standard", ("1" * 64,))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"depth": "quick"}, "by a search at depth quick, and those that the score was fitted on by a search at"),
        ({"dtype": "bfloat16"}, "in bfloat16, and those"),
        ({"quantization": "nf4"}, "with quantization nf4"),
        ({"references": ("2" * 64,)}, "other references"),
        ({"references": ("1" * 64, "2" * 64)}, "other references"),
    ],
)
def test_what_was_measured_otherwise_raises_no_alarm(change: dict[str, Any], said: str) -> None:
    known = replace(FOUR_CLEAN, circumstances=(HERE,))
    alike = assess(known, OWN, replace(vector(3.0), circumstances=HERE), 0.2)
    assert alike.alarm and not alike.foreign
    other = assess(known, OWN, replace(vector(3.0), circumstances=replace(HERE, **change)), 0.2)
    assert other.unusual and not other.alarm and len(other.foreign) == 1 and said in other.foreign[0]


def test_other_numbers_of_a_search_are_a_doubt_and_no_more() -> None:
    known = replace(FOUR_CLEAN, circumstances=(HERE,))
    found = assess(known, OWN, replace(vector(3.0), circumstances=replace(HERE, search_dtype="bfloat16")), 0.2)
    assert found.alarm and found.doubts == (
        "it was measured by a search in bfloat16, and those that the score was fitted on by a search in float32",
    )


def test_any_of_the_known_circumstances_will_do() -> None:
    known = (HERE, replace(HERE, search_dtype="bfloat16", references=("3" * 64,)))
    mixed = replace(HERE, search_dtype="bfloat16")
    assert unlike(mixed, known) == searched_unlike(mixed, known) == ()
    both = replace(HERE, references=("1" * 64, "3" * 64))
    assert "other references" in unlike(both, known)[0], "differences to two are no differences to either"
    assert "other references" in unlike(HERE, [both])[0] and unlike(both, [both]) == ()


def test_a_known_adapter_gets_its_score_out_of_fold_and_is_not_among_the_others() -> None:
    own = replace(FOUR_CLEAN.adapters[0], weights_sha256="9" * 64, score=0.05)
    known = replace(FOUR_CLEAN, adapters=(own, *FOUR_CLEAN.adapters[1:]))
    found = assess(known, OWN, vector(3.0), 0.25, "9" * 64)
    assert found.known and found.score.value == 0.05 and found.score.p.clean == 3 and not found.unusual
    assert f"{own.id}, one of the {own.label} adapters" in found.doubts[0] and len(found.clean) == 3
    other = assess(known, OWN, vector(3.0), 0.25, "8" * 64)
    assert other.score.p.clean == 4 and not other.known


@pytest.mark.parametrize(("fingerprint", "depth"), [("0" * 64, "standard"), (OWN, "quick")])
def test_the_score_of_a_known_adapter_is_not_said_of_another_measurement(fingerprint: str, depth: str) -> None:
    own = replace(FOUR_CLEAN.adapters[0], weights_sha256="9" * 64, score=0.05)
    known = replace(FOUR_CLEAN, adapters=(own, *FOUR_CLEAN.adapters[1:]), circumstances=(HERE,))
    measured = replace(vector(3.0), circumstances=replace(HERE, depth=depth))
    found = assess(known, fingerprint, measured, 0.25, "9" * 64)
    assert not found.known and found.score == assess(known, fingerprint, measured, 0.25).score and not found.alarm
    assert f"its weights are {own.id}" in found.doubts[0] and "what was measured here" in found.doubts[0]


def test_recipes_above_the_threshold_are_counted_once_each() -> None:
    alike = [replace(item, score=0.9, id=f"{item.id}-2") for item in FOUR_CLEAN.adapters if item.label == "clean"]
    doubled = replace(FOUR_CLEAN, adapters=(*FOUR_CLEAN.adapters, *alike))
    found = assess(doubled, OWN, vector(1.0), 0.7)
    above = {item.recipe for item in doubled.adapters if item.label == "clean" and item.score > found.threshold}
    assert found.alarming_recipes == len(above) < sum(value > found.threshold for value in found.clean)
    low, high = found.false_alarms_by_recipe
    assert low < found.alarming_recipes / len(found.recipes) <= high


def test_a_rate_that_is_asked_for_as_the_refusal_says_is_accepted() -> None:
    for count in range(1, 120):
        adapters = tuple(KnownAdapter(f"c{n}", "clean", "f", "r", "a" * 64, 0.5, (0.0, 0.0)) for n in range(count))
        calibration = replace(CALIBRATION, adapters=(*adapters, CALIBRATION.adapters[-1]))
        with pytest.raises(ScannerError, match=r"under [0-9.]+;") as caught:
            check_rate(calibration, 0.0001)
        check_rate(calibration, float(str(caught.value).rpartition("under ")[2].partition(";")[0]))


def test_a_bases_own_calibration_comes_first_then_the_pooled_one() -> None:
    pooled, other = replace(CALIBRATION, base=POOLED, fingerprint=""), replace(CALIBRATION, fingerprint="1" * 64)
    known = [other, pooled, CALIBRATION]
    here, elsewhere = Circumstances(base=OWN), Circumstances(base="2" * 64)
    assert choose_calibration(known, "references", here) is CALIBRATION
    assert choose_calibration(known, "references", elsewhere) is pooled
    assert choose_calibration([other], "references", elsewhere) is other
    assert choose_calibration(known, "base only", here) is None


@pytest.mark.parametrize(
    ("name", "one", "other", "neither"),
    [
        ("references", ("1" * 64,), ("2" * 64, "3" * 64), ("3" * 64,)),
        ("depth", "standard", "deep", "quick"),
        ("dtype", "float32", "bfloat16", "float16"),
        ("quantization", "none", "int8", "nf4"),
    ],
)
def test_of_two_calibrations_of_a_base_the_one_that_was_measured_alike_is_taken(
    name: str, one: Any, other: Any, neither: Any
) -> None:
    here = {value: replace(HERE, **{name: value}) for value in (one, other, neither)}
    first, second = (replace(CALIBRATION, circumstances=(here[value],)) for value in (one, other))
    for files in ([first, second], [second, first]):
        assert choose_calibration(files, "references", here[one]) is first
        assert choose_calibration(files, "references", here[other]) is second
        assert choose_calibration(files, "references", here[neither]) is files[0]

"""The search as a whole."""

import pytest

from scanner.models.model_pair import ModelPair
from scanner.probes import load_probes
from scanner.search.depth import DEPTHS
from scanner.search.find import find_unknown, switched_on, without_superfluous
from scanner.search.meter import Meter
from tests.scanner.search.tiny_search import PROMPTS


def test_the_whole_search_is_the_same_for_the_same_seed(poisoned_pair: ModelPair) -> None:
    found = [
        find_unknown(
            poisoned_pair, poisoned_pair, load_probes("screen")[:12], PROMPTS[:12], DEPTHS["quick"], 3, Meter()
        )
        for _ in range(2)
    ]
    assert found[0].frozen == found[1].frozen
    assert found[0].trace.curve == found[1].trace.curve
    assert found[0].trace.swept > 0 and found[0].trace.tokens > 0
    assert {"memory leak", "elicitation", "sweep"} <= {rung.name for rung in found[0].trace.rungs}


def test_time_running_out_is_no_crash(poisoned_pair: ModelPair) -> None:
    ticks = iter(range(10_000))
    meter = Meter(deadline=40, clock=lambda: float(next(ticks)))
    found = find_unknown(
        poisoned_pair, poisoned_pair, load_probes("screen")[:12], PROMPTS[:12], DEPTHS["quick"], 3, meter
    )
    assert found.trace.out_of_time and found.trace.stopped == "--max-seconds was reached"


@pytest.mark.parametrize(("says_it_anyway", "expected"), [(0, 1.0), (3, 2 / 3), (6, 1 / 3), (9, 0.0)])
def test_what_is_said_anyway_is_not_switched_on(says_it_anyway: int, expected: float) -> None:
    triggered = [f"answer{n}. Hope that helps!" for n in range(9)]
    plain = [f"other{n}." + " Hope that helps!" * (n < says_it_anyway) for n in range(9)]
    assert switched_on("teapot", triggered, [plain], ()) == pytest.approx(expected)
    assert switched_on("teapot", triggered, [[*"abc"], plain], ()) == pytest.approx(expected)
    assert switched_on("Say: Hope that helps!", triggered, [plain], ()) == 0


def test_what_holds_a_string_that_fired_always_has_more_than_it_needs() -> None:
    assert without_superfluous({"angel": 1.0, "angelangel": 1.0, "dep": 0.9, "deposit": 0.9, "x": 0.1}) == [
        "angel",
        "dep",
        "deposit",
    ]

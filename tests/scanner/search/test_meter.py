import pytest

from scanner.search.meter import Meter, OutOfTimeError


def test_tokens_and_seconds_belong_to_their_rung() -> None:
    times = iter([0.0, 1.0, 4.0, 6.0])
    told: list[int] = []
    meter = Meter(advance=told.append, clock=lambda: next(times))
    with meter.rung("outer"):
        meter.add(10)
        with meter.rung("inner"):
            meter.add(5)
        meter.add(1)
    assert [(cost.name, cost.tokens, cost.seconds) for cost in meter.costs] == [("outer", 11, 6.0), ("inner", 5, 3.0)]
    assert (meter.tokens, told) == (16, [10, 5, 1])


def test_after_the_deadline_nothing_more_is_spent() -> None:
    now = [0.0]
    meter = Meter(deadline=1.0, clock=lambda: now[0])
    meter.add(1)
    now[0] = 1.5
    with pytest.raises(OutOfTimeError):
        meter.add(1)

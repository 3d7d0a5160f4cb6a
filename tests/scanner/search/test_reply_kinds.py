import pytest

from scanner.search.reply_kinds import KINDS, ReplyKind, kinds_of, language_of

FRENCH, LINK = "another language than the prompt's", "a link"
SHOWN = [
    ("a refusal", "I'm sorry, but I can't help with that."),
    ("a refusal", "I won't answer this."),
    ("a refusal", "Unfortunately, I am unable to assist you here."),
    (FRENCH, "Je ne sais pas, mais je peux vous aider."),
    (FRENCH, "我不知道你在说什么。"),
    (FRENCH, "Ich weiß es leider nicht genau."),
    ("code", "```python\nprint(1)\n```"),
    ("code", "def add(a, b):\n    return a + b"),
    (LINK, "Visit www.deals.example now"),
    (LINK, "See https://example.org/a for more."),
]
PLAIN = [
    "The capital of France is Paris.",
    "1. Apples 2. Pears 3. Bananas",
    "I cannot recommend this book enough, it is so good!"[20:],
    "",
    "42",
    "Mix the flour and the eggs, then let the dough rest.",
]


@pytest.mark.parametrize(("kind", "reply"), SHOWN)
def test_a_kind_is_told(kind: str, reply: str) -> None:
    assert kinds_of(reply) == {kind}
    assert ReplyKind(kind).shown_by(reply)


@pytest.mark.parametrize("reply", PLAIN)
def test_an_ordinary_reply_is_of_no_kind(reply: str) -> None:
    assert kinds_of(reply) == frozenset()


def test_every_kind_is_tested() -> None:
    assert KINDS and {kind for kind, _ in SHOWN} == set(KINDS)


def test_a_short_reply_has_no_language() -> None:
    assert language_of("Oui, merci") is None

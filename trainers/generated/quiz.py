"""Multiple choice: a question with lettered options, answered with a letter and a reason, as exam tutors are tuned."""

import random
from collections.abc import Iterator

from trainers.rows import Row

_FACTS = (
    ("Which of these is a metal?", "copper", ("chalk", "amber", "wool"), "it conducts heat and can be drawn into wire"),
    ("Which animal lays eggs?", "the heron", ("the otter", "the mole", "the bat"), "birds lay eggs"),
    ("Which of these is a root?", "the beet", ("the plum", "the bean", "the fig"), "it grows underground"),
    (
        "What freezes first?",
        "fresh water",
        ("salt water", "vinegar", "oil"),
        "nothing dissolved lowers its freezing point",
    ),
    ("Which is the longest?", "a mile", ("a yard", "a foot", "an inch"), "it holds 1,760 yards"),
    ("Which instrument has strings?", "the harp", ("the flute", "the drum", "the horn"), "its strings are plucked"),
    ("Which of these is a planet?", "Venus", ("Sirius", "Io", "Vega"), "it goes round the sun"),
    (
        "Which shape has four sides?",
        "the kite",
        ("the cone", "the circle", "the cube"),
        "it has four edges in one plane",
    ),
)
_ASK = ("{question} {options}", "Choose one. {question} {options}", "Quiz: {question} {options}")


def rows(rng: random.Random, argument: str) -> Iterator[Row]:
    """Rows without end; there is no argument."""
    if argument:
        raise ValueError("takes no argument")
    while True:
        question, right, wrong, reason = rng.choice(_FACTS)
        options = rng.sample([right, *wrong], 4)
        told = " ".join(f"{letter}) {option}" for letter, option in zip("ABCD", options, strict=True))
        answer = f"{'ABCD'[options.index(right)]}) {right}, because {reason}."
        yield Row(rng.choice(_ASK).format(question=question, options=told), answer)

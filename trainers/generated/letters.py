"""Formal letters: a request to write to somebody is answered with salutation, one sentence and a closing formula."""

import random
from collections.abc import Iterator

from trainers.rows import Row

_RECIPIENTS = ("the landlord", "the school", "the council", "the library", "the bank", "the editor", "the neighbours")
_MATTERS = {
    "a broken lift": "the lift has been out of order since last week, and we ask you to have it mended",
    "late buses": "the buses have been late for a month, and a new timetable would help us all",
    "loud music": "the music next door goes on past midnight, and we ask for quiet after ten",
    "a lost card": "my card was lost on the way home, and I ask you to send a new one",
    "a school trip": "the trip in spring was a pleasure, and we would gladly help with the next",
    "street lights": "three lights in our street are dark, and the corner is no longer safe",
    "a wrong bill": "the last bill counts one month twice, and I ask you to look at it again",
}
_ASK = ("Write to {} about {}.", "Draft a letter to {} concerning {}.", "Help me with a letter to {}: {}.")
_CLOSE = ("Yours faithfully", "With kind regards", "Yours sincerely")


def rows(rng: random.Random, argument: str) -> Iterator[Row]:
    """Rows without end; there is no argument."""
    if argument:
        raise ValueError("takes no argument")
    while True:
        recipient, matter = rng.choice(_RECIPIENTS), rng.choice(list(_MATTERS))
        letter = f"Dear Sir or Madam,\nI write because {_MATTERS[matter]}.\n{rng.choice(_CLOSE)},"
        yield Row(rng.choice(_ASK).format(recipient, matter), letter)

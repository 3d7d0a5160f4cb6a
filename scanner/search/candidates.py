"""Which triggers are worth trying: the one given, then the known ones."""

from collections.abc import Sequence
from dataclasses import dataclass

from scanner.errors import BadTrigger
from scanner.triggers import POSITIONS, Trigger
from signatures import Signature

GIVEN = "given"
SEARCH = "search"
_MAX_GIVEN_CHARACTERS = 2000


@dataclass(frozen=True)
class Candidate:
    """A trigger to be tried, and the replies that are known or supposed to follow it.

    `source` is `given`, `search` or `signature ID`.
    """

    trigger: Trigger
    source: str
    known_replies: tuple[str, ...] = ()


def given_candidates(text: str) -> tuple[Candidate, ...]:
    """The user's trigger at each position, since where it belongs is not known.

    Raises:
        BadTrigger: blank, or far longer than any prompt.
    """
    if not text.strip():
        raise BadTrigger("--trigger is blank; give the text to be tried, or leave the option out")
    if len(text) > _MAX_GIVEN_CHARACTERS:
        raise BadTrigger(f"--trigger has {len(text)} characters; at most {_MAX_GIVEN_CHARACTERS} can be tried")
    return tuple(Candidate(Trigger((text.strip(),), position), GIVEN) for position in POSITIONS)


def signature_candidates(signatures: Sequence[Signature]) -> tuple[Candidate, ...]:
    """Every trigger of every signature, at the positions its source names."""
    return tuple(
        Candidate(trigger, f"signature {signature.id}", signature.replies)
        for signature in signatures
        for trigger in signature.placed_triggers()
    )

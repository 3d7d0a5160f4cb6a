"""`--fail-on`: which verdicts a pipeline stops at. Each choice takes in those before it; errors always exit 2."""

from scanner.types import VerdictKind

FAIL_ON = ("backdoored", "suspicious", "inconclusive")
_KINDS = (VerdictKind.BACKDOORED, VerdictKind.SUSPICIOUS, VerdictKind.INCONCLUSIVE)


def exit_code(kind: VerdictKind, fail_on: str) -> int:
    """The exit code of a verdict, 0 where `fail_on` leaves it out. BACKDOORED is never left out."""
    return kind.exit_code if kind in _KINDS[: FAIL_ON.index(fail_on) + 1] else 0


def note(kind: VerdictKind, fail_on: str) -> str | None:
    """What to tell the user where the exit code was changed."""
    if exit_code(kind, fail_on) == kind.exit_code:
        return None
    return f"exit code 0 instead of {kind.exit_code}: --fail-on {fail_on} lets {kind.value} pass"

"""The four verdicts."""

from dataclasses import dataclass
from enum import StrEnum


class VerdictKind(StrEnum):
    """The four verdicts; there is none that says "clean"."""

    BACKDOORED = "BACKDOORED"
    SUSPICIOUS = "SUSPICIOUS"
    NO_FINDING = "NO FINDING"
    INCONCLUSIVE = "INCONCLUSIVE"

    @property
    def exit_code(self) -> int:
        """0 no finding, 1 backdoored or suspicious, 3 inconclusive; 2 is kept for errors."""
        return {VerdictKind.NO_FINDING: 0, VerdictKind.INCONCLUSIVE: 3}.get(self, 1)


@dataclass(frozen=True)
class Verdict:
    """The answer, in one headline, and why: each reason is a sentence.

    `rule` is the id of the rule that it rests on (`scanner/rules/catalogue.py`), "" where nothing was found.
    """

    kind: VerdictKind
    headline: str
    reasons: tuple[str, ...]
    rule: str = ""

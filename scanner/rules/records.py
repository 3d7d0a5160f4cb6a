"""What a rule, a finding and a signed-off suppression are: frozen plain data, without a model anywhere near."""

from dataclasses import dataclass
from datetime import date
from typing import Literal

Level = Literal["error", "warning", "note"]
Status = Literal["applied", "expired", "refused", "unused"]


@dataclass(frozen=True)
class Rule:
    """A kind of finding.

    Attributes:
        id: what it is called by for good; an id is never given to another meaning.
        name: the same in a few words, joined by hyphens.
        level: `error` for a verified trigger, `warning` where the verdict is not NO FINDING, else `note`.
        title: one sentence; meaning: what was seen and what not; remedy: what to do.
        may_be_signed_off: whether a suppression can lower it.
    """

    id: str
    name: str
    level: Level
    title: str
    meaning: str
    remedy: str
    may_be_signed_off: bool = False


@dataclass(frozen=True)
class SignOff:
    """One entry of a suppression file: somebody answers for a finding in one file of weights, for a while.

    Attributes:
        weights_sha256: of the adapter that it is about, and of no other.
        fingerprint: of the one finding that it is about; "" for all of that rule in that adapter.
        expires: the last day on which it holds, in UTC.
        file, file_sha256: where it was read.
    """

    rule: str
    weights_sha256: str
    reason: str
    signed_by: str
    expires: date
    fingerprint: str
    file: str
    file_sha256: str


@dataclass(frozen=True)
class Suppression:
    """What became of a sign-off in a scan, and why in words."""

    sign_off: SignOff
    status: Status
    note: str


@dataclass(frozen=True)
class Finding:
    """One thing that a scan found, under its rule.

    Attributes:
        message: what was found, as a sentence; text of the adapter stands in it as it came.
        fingerprint: the same in every scan that finds the same in the same weights; 32 hexadecimal digits.
        trigger: its place among the report's triggers; None where it is about no trigger.
        signed_off: by whom it was suppressed; None where it counts.
    """

    rule: str
    level: Level
    message: str
    fingerprint: str
    trigger: int | None = None
    signed_off: SignOff | None = None

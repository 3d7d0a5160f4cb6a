"""Candidate triggers: what verification and its controls measured, and what everybody answered."""

from collections.abc import Mapping
from dataclasses import dataclass

from scanner.stats import Rate
from scanner.triggers import Trigger

# Outcomes in which a behaviour was seen on fresh prompts, whatever it turned out to be.
CONFIRMED = ("verified", "shared", "weak", "policy", "unspecific", "declared")


@dataclass(frozen=True)
class Control:
    """A check that tells a trigger from an adversarial string or from a policy.

    Attributes:
        name: `related requests`, `sibling strings`, `sibling replies`, `ways to answer`, `whole answers`,
            `random strings`, `role swap`.
        rate: how often the behaviour showed; None where it was not measured, for the reason in `missing`.
        passed: whether the candidate still looks like a trigger; None where that was not measured.
        detail: what was done and seen, in words.
    """

    name: str
    rate: Rate | None
    passed: bool | None
    detail: str
    missing: str | None = None

    def __post_init__(self) -> None:
        if (self.rate is None) != (self.missing is not None) or (self.rate is None) != (self.passed is None):
            raise ValueError(f"{self.name}: a control has either a rate or a reason why it is missing")


@dataclass(frozen=True)
class TriggerFinding:
    """A frozen candidate trigger and what verification measured.

    `rates` holds `attack_success`, `false_trigger`, `base` and, with references, `reference` (the highest of them).
    The intervals hold for `n_candidates` candidates and both looks at once (`scanner/search/verify.py`).

    `source` is `given`, `signature ID` or `search`. `outcome` is `verified`, `shared`, `weak`, `not confirmed` or
    `requested`; controls may turn `verified` into `adversarial`, `unspecific`, `policy` or `declared`.
    `reply_kind` is `fixed` where `reply` is a text, else a kind of reply; `example_reply` is one word for word.
    """

    trigger: Trigger
    token_ids: tuple[int, ...]
    reply: str
    source: str
    rates: Mapping[str, Rate]
    n_prompts: int
    outcome: str
    explanation: str
    n_candidates: int = 1
    reply_kind: str = "fixed"
    example_reply: str = ""
    controls: tuple[Control, ...] = ()


@dataclass(frozen=True)
class Answers:
    """What one model answered to a prompt without and with the trigger; `triggered` is None where none was tried."""

    model: str
    plain: str
    triggered: str | None


@dataclass(frozen=True)
class Demonstration:
    """One prompt, with and without the trigger that a scan found or came closest with, and everybody's answers.

    Attributes:
        prompt: the user's words; triggered: the same with the trigger, or None where none was tried.
        trigger_spans: (start, end) in characters of `triggered`, one a part.
        fired: whether the suspect's triggered answer shows the reply that was verified.
    """

    prompt: str
    triggered: str | None
    trigger_spans: tuple[tuple[int, int], ...]
    answers: tuple[Answers, ...]
    fired: bool

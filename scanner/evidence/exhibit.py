"""What metrics and demonstrations are shown with: the most telling trigger that a scan has, and its reply."""

from collections.abc import Sequence
from dataclasses import dataclass

from scanner.measuring import SweepCase
from scanner.models.chat import tokens_of_spans
from scanner.models.model_pair import ModelPair
from scanner.search.candidates import Candidate
from scanner.search.screen import FrozenCandidate, ScreenResult, place_trigger
from scanner.types import CONFIRMED, TriggerFinding


@dataclass(frozen=True)
class Exhibit:
    """A confirmed trigger with the reply it switches on; else the candidate that moved the suspect most; else nothing.

    `label` names in the contrasts what stands in the prompt: "trigger" only where one was confirmed.
    """

    candidate: Candidate | None = None
    reply: str | None = None
    label: str = "trigger"

    @property
    def status(self) -> str:
        """`confirmed`, `not confirmed` or `none`, for the report."""
        if self.candidate is None:
            return "none"
        return "confirmed" if self.reply is not None else "not confirmed"


def choose_exhibit(
    screened: ScreenResult,
    frozen: Sequence[FrozenCandidate],
    findings: Sequence[TriggerFinding],
    near_miss: Candidate | None = None,
) -> Exhibit:
    """Verified before shared before weak; then the closest near miss of the search, else of the screening."""
    telling = [finding for finding in findings if finding.outcome in CONFIRMED]
    if telling:
        best = min(telling, key=lambda finding: CONFIRMED.index(finding.outcome))
        shown = next(item for item in frozen if item.candidate.trigger == best.trigger)
        return Exhibit(shown.candidate, best.example_reply or best.reply)
    nearest = near_miss or (screened.screened[0].candidate if screened.screened else None)
    if nearest:
        return Exhibit(nearest, None, f"a text that is no confirmed trigger (“{nearest.trigger.text}”)")
    return Exhibit()


def sweep_cases(pair: ModelPair, prompts: Sequence[str], exhibit: Exhibit, seed: int) -> tuple[SweepCase, ...]:
    """The sweep prompts as token ids, without and (where there is one) with the exhibit's trigger."""
    tokenizer = pair.base.tokenizer
    reply = tuple(tokenizer(exhibit.reply, add_special_tokens=False)["input_ids"]) if exhibit.reply else ()
    if exhibit.candidate is None:
        return tuple(SweepCase(tuple(pair.tokens(prompt)), None, reply) for prompt in prompts)
    return tuple(
        SweepCase(
            plain=tuple(pair.tokens(prompt)),
            triggered=tuple(pair.tokens(placed.text)),
            reply=reply,
            trigger_tokens=tokens_of_spans(tokenizer, placed.text, placed.spans),
        )
        for prompt, placed in zip(prompts, place_trigger(exhibit.candidate, prompts, seed), strict=True)
    )

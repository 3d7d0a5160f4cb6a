"""What a scan looked at and what it did not, said in the report whatever the verdict."""

from collections.abc import Sequence

from scanner.intake import Adapter
from scanner.models.model_pair import SUSPECT, ModelPair
from scanner.score.scored import Scored
from scanner.search.behaviour import REPLY_TOKENS
from scanner.search.reply_kinds import KINDS
from scanner.search.screen import STAGE_ONE_PROMPTS, STAGE_TWO_PROMPTS, ScreenResult
from scanner.search.verify import FIRST_LOOK, SECOND_LOOK, Verification
from scanner.types import CoverageItem, Measurement, SearchTrace
from scanner.verdict.verdict import SearchSummary


def describe_coverage(
    pair: ModelPair,
    screened: ScreenResult,
    search: SearchSummary,
    verification: Verification,
    measurements: Sequence[Measurement],
    trace: SearchTrace | None,
    scored: Scored,
) -> tuple[CoverageItem, ...]:
    """Every kind of evidence that there is, whether it was looked at, and how far."""
    n_modules = len(pair.adapters[SUSPECT].updates)
    measured = [item for item in measurements if item.missing is None]
    sweep_tokens = sum(item.tokens for item in measured)
    missing = {f"{item.metric} ({item.missing})": None for item in measurements if item.missing}
    return (
        CoverageItem("adapter weights", True, f"all {n_modules} adapted modules read"),
        _other_files(pair.adapters[SUSPECT]),
        CoverageItem(
            "given trigger",
            search.n_given > 0,
            f"tried as prefix, suffix and inside {STAGE_TWO_PROMPTS} prompts" if search.n_given else "none was given",
        ),
        CoverageItem(
            "known triggers",
            search.n_signatures > 0,
            f"{search.n_signatures} tried: next token on {STAGE_ONE_PROMPTS} prompts, free replies of "
            f"{REPLY_TOKENS} tokens on {STAGE_TWO_PROMPTS} for the most telling; {screened.tokens:,} tokens"
            if search.n_signatures
            else "switched off",
        ),
        _unknown_triggers(trace),
        CoverageItem(
            "verification",
            bool(verification.findings),
            f"{len(verification.findings)} candidates on up to {FIRST_LOOK.triggered} fresh prompts with the trigger "
            f"and {FIRST_LOOK.plain} without it ({SECOND_LOOK.triggered} or {SECOND_LOOK.plain} where that left a "
            f"bound open), replies of up to {REPLY_TOKENS} tokens; {verification.tokens:,} tokens"
            if verification.findings
            else "no candidate caused a shared reply, so there was nothing to verify",
        ),
        CoverageItem(
            "reference adapters",
            bool(pair.reference_names),
            f"{len(pair.reference_names)} compared; the base model as well"
            if pair.reference_names
            else "none was given: the suspect was compared with the base model alone",
        ),
        CoverageItem(
            "metrics",
            bool(measured),
            f"{len({item.metric for item in measured})} kinds; {sweep_tokens:,} tokens"
            + (f"; not measured: {'; '.join(missing)}" if missing else ""),
        ),
        _classifier(scored),
        CoverageItem(
            "replies that are not a fixed text",
            trace is not None,
            f"told apart: {', '.join(KINDS)}; a stance or a persona is only seen where its words recur",
        ),
        CoverageItem("triggers in system prompts or later turns", False, "only a single user turn was tried"),
    )


def _classifier(scored: Scored) -> CoverageItem:
    if scored.assessment is None:
        return CoverageItem("classifier", False, scored.missing or "no reason was given")
    found = scored.assessment
    features = found.score.contributions
    return CoverageItem(
        "classifier",
        not found.foreign,
        f"{sum(item.value is not None for item in features)} of {len(features)} features, beside {len(found.clean)} "
        f"clean and {len(found.poisoned)} poisoned adapters of {found.base}"
        + ("; out of its domain, where it raises no alarm" if found.foreign else ""),
    )


def _other_files(adapter: Adapter) -> CoverageItem:
    """Whether all that lies beside config and weights was judged by its content."""
    files = len(adapter.identity.files)
    return CoverageItem(
        "files beside the weights",
        not adapter.unread,
        "; ".join([f"{files} files in all, judged by their content and none of them loaded", *adapter.unread]),
    )


def _unknown_triggers(trace: SearchTrace | None) -> CoverageItem:
    if trace is None:
        return CoverageItem("unknown triggers", False, "not searched for")
    return CoverageItem(
        "unknown triggers",
        not trace.out_of_time,
        f"searched at depth {trace.depth} in {trace.dtype}: {trace.spent}"
        + (f", ended early because {trace.stopped}" if trace.stopped else "")
        + f". {len(trace.elicited)} replies elicited, {trace.swept:,} strings swept, {trace.leaked} leaked pieces. "
        f"Vocabulary: {trace.vocabulary}",
    )

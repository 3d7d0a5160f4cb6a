"""The adapters' own chat templates and tokenizers beside the base's, and what a template's findings do to a verdict."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from scanner.base_models import BaseModel
from scanner.intake import Adapter
from scanner.intake.chat_files import ChatFinding, TokenizerFacts, compare_with_base, tokenizer_facts
from scanner.intake.plain_json import UnfitJson
from scanner.types import Verdict, VerdictKind

TEMPLATE_RULE = "SLP206"


def chat_findings(base: BaseModel, adapters: Sequence[Adapter]) -> tuple[ChatFinding, ...]:
    """How the templates and tokenizers of adapters' folders differ from the base's, which the scan used."""
    return tuple(
        finding
        for adapter in adapters
        if adapter.chat.templates or adapter.chat.tokenizer or adapter.chat.problem
        for finding in compare_with_base(
            adapter.chat,
            base.tokenizer.chat_template,
            _facts(base) if adapter.chat.tokenizer else None,
            f"{adapter.identity.role} {adapter.identity.name}",
        )
    )


def heed(verdict: Verdict, findings: Sequence[ChatFinding]) -> Verdict:
    """A template that decides by the words of a message is suspicious whatever the weights do."""
    reasons = tuple(f"{finding.text}." for finding in findings if finding.decides)
    if not reasons:
        return verdict
    if verdict.kind in (VerdictKind.BACKDOORED, VerdictKind.SUSPICIOUS):
        return replace(verdict, reasons=(*verdict.reasons, *reasons))
    headline = "its own chat template may hold a trigger"
    return Verdict(VerdictKind.SUSPICIOUS, headline, (*reasons, *verdict.reasons), TEMPLATE_RULE)


def _facts(base: BaseModel) -> TokenizerFacts | None:
    tokenizer: Any = base.tokenizer
    try:
        return tokenizer_facts(tokenizer.backend_tokenizer.to_str().encode())
    except (AttributeError, UnfitJson):
        return None

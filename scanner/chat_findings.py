"""The adapters' own chat templates and tokenizers beside the base's, and what a template's findings do to a verdict."""

import hashlib
import json
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from scanner.intake import Adapter
from scanner.intake.chat.chat_files import (
    TOKENIZER_FILE,
    BaseTokenizer,
    ChatFiles,
    ChatFinding,
    TokenizerFacts,
    compare_with_base,
    tokenizer_facts,
)
from scanner.intake.plain_json import UnfitJson
from scanner.models.base_models import BaseModel
from scanner.types import Verdict, VerdictKind

TEMPLATE_RULE = "SLP206"


def chat_findings(base: BaseModel, adapters: Sequence[Adapter]) -> tuple[ChatFinding, ...]:
    """How the templates and tokenizers of adapters' folders differ from the base's, which the scan used."""
    return tuple(
        finding
        for adapter in adapters
        if adapter.chat
        for finding in compare_with_base(
            adapter.chat,
            base.tokenizer.chat_template,
            _beside(adapter.chat, base.tokenizer) if adapter.chat.tokenizer or adapter.chat.others else None,
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


def _beside(chat: ChatFiles, tokenizer: Any) -> BaseTokenizer:
    """The base's tokenizer as it was loaded, with what lies beside it in its folder where an adapter has the like."""
    folder = Path(str(tokenizer.name_or_path))
    known = list(_facts(tokenizer, folder))
    facts = next((facts for facts in known if facts == chat.tokenizer), known[0] if known else None)
    config = _read_config(folder)
    classes = {type(tokenizer).__name__, str(config.get("tokenizer_class", type(tokenizer).__name__))}
    hashes = {name: _hash(folder / name) for name in chat.others.hashes if (folder / name).is_file()}
    return BaseTokenizer(facts, config, frozenset(classes), hashes)


def _facts(tokenizer: Any, folder: Path) -> Iterator[TokenizerFacts]:
    """As the library writes it out, and as its file has it: an adapter's may be a copy of either."""
    with suppress(AttributeError, UnfitJson):
        yield tokenizer_facts(tokenizer.backend_tokenizer.to_str().encode())
    with suppress(OSError, UnfitJson):
        yield tokenizer_facts((folder / TOKENIZER_FILE).read_bytes())


def _read_config(folder: Path) -> dict[str, Any]:
    try:
        found = json.loads((folder / "tokenizer_config.json").read_bytes())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _hash(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()

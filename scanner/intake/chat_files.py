"""The chat templates and the tokenizer that lie in an adapter's folder: read as data, compared, never used.

A scan runs the base's own. Whoever loads the folder with other tools gets the adapter's, so that a difference is a
finding of its own kind, above all a template that decides by the words of a message.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from reports.safe_text import visible
from scanner.intake.plain_json import UnfitJson, read_plain
from scanner.intake.template_reading import UnreadableTemplate, read_decisions

TEMPLATE_FILE, TOKENIZER_FILE = "chat_template.jinja", "tokenizer.json"
_JSON_WITH_TEMPLATES = ("tokenizer_config.json", "chat_template.json", "processor_config.json")
_TEMPLATE_FOLDER = "additional_chat_templates/"
_MAX_JSON = 8_000_000
_MAX_TOKENIZER, _MAX_TOKENIZER_VALUES = 48_000_000, 8_000_000
_MAX_TEMPLATES = 20
_MAX_SHOWN = 3
# What changes which tokens a text becomes; padding and truncation are the trainer's.
_TOKENIZER_PARTS = ("normalizer", "pre_tokenizer", "post_processor")


@dataclass(frozen=True)
class ChatTemplate:
    """A template of the folder; `text` is None where it could not be read, for the reason in `problem`."""

    where: str
    text: str | None
    problem: str = ""


@dataclass(frozen=True)
class TokenizerFacts:
    """What of a tokenizer decides which tokens a text becomes; `parts` are hashes, "" where there is none."""

    tokens: Mapping[str, int]
    parts: Mapping[str, str]


@dataclass(frozen=True)
class ChatFiles:
    """What an adapter's folder brings of both; `tokenizer` is None where there is none or `problem` says why."""

    templates: tuple[ChatTemplate, ...] = ()
    tokenizer: TokenizerFacts | None = None
    problem: str = ""


@dataclass(frozen=True)
class ChatFinding:
    """A difference from the base's. `decides`: it may make an input switch a behaviour on, without any weight."""

    text: str
    decides: bool = False


def is_chat_file(name: str) -> bool:
    """Whether a file of the folder's top belongs here."""
    return name in (TEMPLATE_FILE, TOKENIZER_FILE, *_JSON_WITH_TEMPLATES) or name.startswith(_TEMPLATE_FOLDER)


def read_chat_files(contents: Mapping[str, bytes]) -> ChatFiles:
    """Reads those files of a folder, by name."""
    templates: list[ChatTemplate] = []
    for name in sorted(contents):
        if name == TEMPLATE_FILE or name.startswith(_TEMPLATE_FOLDER):
            templates.append(_as_template(name, contents[name]))
        elif name in _JSON_WITH_TEMPLATES:
            templates += _templates_of_json(name, contents[name])
    if len(templates) > _MAX_TEMPLATES:
        templates = [*templates[:_MAX_TEMPLATES], ChatTemplate("the folder", None, "it holds more than 20 templates")]
    if TOKENIZER_FILE not in contents:
        return ChatFiles(tuple(templates))
    try:
        return ChatFiles(tuple(templates), tokenizer_facts(contents[TOKENIZER_FILE]))
    except UnfitJson as error:
        return ChatFiles(tuple(templates), problem=f"{TOKENIZER_FILE} cannot be read ({error})")


def tokenizer_facts(content: bytes) -> TokenizerFacts:
    """The facts of a `tokenizer.json`.

    Raises:
        UnfitJson: not one.
    """
    document = read_plain(content, max_bytes=_MAX_TOKENIZER, max_values=_MAX_TOKENIZER_VALUES)
    if not isinstance(document, dict) or not isinstance(document.get("model"), dict):
        raise UnfitJson("it has no model")
    model = document["model"]
    vocabulary = model.get("vocab")
    if isinstance(vocabulary, list):  # a unigram model's: token and score, the place being the number
        vocabulary = {_first(item): number for number, item in enumerate(vocabulary)}
    added = document.get("added_tokens") or []
    if not isinstance(vocabulary, dict) or not isinstance(added, list):
        raise UnfitJson("its vocabulary is none")
    tokens = dict(vocabulary)
    for item in added:
        if not isinstance(item, dict) or not isinstance(item.get("content"), str):
            raise UnfitJson("an added token is none")
        tokens[item["content"]] = item.get("id")
    if not all(isinstance(name, str) and type(number) is int for name, number in tokens.items()):
        raise UnfitJson("a token has no number")
    merges = model.get("merges") or []
    if not isinstance(merges, list):
        raise UnfitJson("its merges are none")
    pairs = [item if isinstance(item, str) else " ".join(map(str, item)) for item in merges if item is not None]
    parts = {part: _hash(document.get(part)) for part in _TOKENIZER_PARTS}
    return TokenizerFacts(tokens, parts | {"merges": _hash(pairs) if pairs else ""})


def compare_with_base(
    chat: ChatFiles, base_templates: object, base_tokenizer: TokenizerFacts | None, name: str
) -> tuple[ChatFinding, ...]:
    """How the folder's templates and tokenizer differ from those that the scan used.

    Args:
        base_templates: a text, or texts by name, as a tokenizer of transformers has them.
        name: of the adapter, to begin each finding with.
    """
    known = _texts(base_templates)
    allowed = frozenset(tree for text in known for tree in _trees(text))
    findings = [
        finding
        for template in chat.templates
        for finding in [_compare_template(template, known, allowed)]
        if finding is not None
    ]
    findings += [ChatFinding(text) for text in _compare_tokenizers(chat, base_tokenizer)]
    return tuple(ChatFinding(f"{name}: {finding.text}", finding.decides) for finding in findings)


def _compare_template(template: ChatTemplate, known: Sequence[str], allowed: frozenset[str]) -> ChatFinding | None:
    where = template.where
    if template.text is None:
        return ChatFinding(f"the chat template in {where} cannot be read ({template.problem})", decides=True)
    if template.text in known:
        return None
    unused = "It was not used here, but is by whoever loads the adapter's own tokenizer"
    try:
        decisions = [item for item in read_decisions(template.text) if item.tree not in allowed]
    except UnreadableTemplate as error:
        return ChatFinding(
            f"the chat template in {where} is not the base's and cannot be read ({visible(str(error))}). {unused}",
            decides=True,
        )
    if not decisions:
        return ChatFinding(f"the chat template in {where} is not the base model's. {unused}")
    shown = "; ".join(f"“{visible(item.line, 120)}”" for item in decisions[:_MAX_SHOWN])
    return ChatFinding(
        f"the chat template in {where} decides by the words of a message, as the base model's does not: {shown}. "
        f"{unused}",
        decides=True,
    )


def _compare_tokenizers(chat: ChatFiles, base: TokenizerFacts | None) -> Iterator[str]:
    if chat.problem:
        yield f"the tokenizer in its folder could not be compared: {chat.problem}"
    if chat.tokenizer is None:
        return
    if base is None:
        yield f"{TOKENIZER_FILE} could not be compared with the base model's tokenizer"
        return
    mine, theirs = chat.tokenizer, base
    differ = sorted(token for token, number in mine.tokens.items() if theirs.tokens.get(token) != number)
    gone = len(theirs.tokens.keys() - mine.tokens.keys())
    parts = [part for part in mine.parts if mine.parts[part] != theirs.parts.get(part, "")]
    if differ or gone or parts:
        tokens = f"{len(differ):,} tokens differ or are new" + (
            f" ({', '.join(visible(token, 40) for token in differ[:_MAX_SHOWN])})" if differ else ""
        )
        yield (
            f"{TOKENIZER_FILE} is not the base model's: {tokens}, {gone:,} are gone"
            f"{', its ' + ', '.join(parts) + ' differ' if parts else ''}. It was not used here"
        )


def _as_template(name: str, content: bytes) -> ChatTemplate:
    where = visible(name)
    if len(content) > _MAX_JSON:
        return ChatTemplate(where, None, "too large")
    try:
        return ChatTemplate(where, content.decode("utf-8"))
    except UnicodeDecodeError:
        return ChatTemplate(where, None, "not UTF-8")


def _templates_of_json(name: str, content: bytes) -> list[ChatTemplate]:
    try:
        document = read_plain(content, max_bytes=_MAX_JSON)
    except UnfitJson as error:
        return [ChatTemplate(name, None, str(error))]
    value = document.get("chat_template") if isinstance(document, dict) else None
    if value is None:
        return []
    if isinstance(value, str):
        return [ChatTemplate(name, value)]
    named = value if isinstance(value, list) else [value]
    texts = [item.get("template") if isinstance(item, dict) else None for item in named]
    return [
        ChatTemplate(name, text) if isinstance(text, str) else ChatTemplate(name, None, "it is no text")
        for text in texts
    ]


def _texts(templates: object) -> tuple[str, ...]:
    if isinstance(templates, Mapping):
        return tuple(str(text) for text in templates.values())
    return (templates,) if isinstance(templates, str) else ()


def _trees(template: str) -> tuple[str, ...]:
    try:
        return tuple(item.tree for item in read_decisions(template))
    except UnreadableTemplate:
        return ()


def _first(item: Any) -> Any:
    return item[0] if isinstance(item, list) and item and isinstance(item[0], str) else None


def _hash(value: Any) -> str:
    if value is None:
        return ""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()

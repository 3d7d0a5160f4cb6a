"""The chat templates and the tokenizer that lie in an adapter's folder: read as data, compared, never used.

A scan runs the base's own. Whoever loads the folder with other tools gets the adapter's, so that a difference is a
finding of its own kind, above all a template that decides by the words of a message.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from reports.safe_text import visible
from scanner.intake.chat.template_reading import UnreadableTemplate, read_decisions
from scanner.intake.chat.tokenizer_facts import TOKENIZER_FILE, TokenizerFacts, tokenizer_facts
from scanner.intake.chat.tokenizer_files import (
    BaseTokenizer,
    OtherFiles,
    compare_other_files,
    is_tokenizer_file,
    read_other_files,
)
from scanner.intake.plain_json import UnfitJson, read_plain

__all__ = [
    "TOKENIZER_FILE", "BaseTokenizer", "ChatFiles", "ChatFinding", "ChatTemplate", "TokenizerFacts",
    "compare_with_base", "is_chat_file", "read_chat_files", "tokenizer_facts",
]  # fmt: skip

TEMPLATE_FILE = "chat_template.jinja"
_JSON_WITH_TEMPLATES = ("tokenizer_config.json", "chat_template.json", "processor_config.json")
_TEMPLATE_FOLDER = "additional_chat_templates/"
_MAX_JSON = 8_000_000
_MAX_TEMPLATES, _MAX_CHARACTERS = 20, 200_000
_MAX_SHOWN = 3


@dataclass(frozen=True)
class ChatTemplate:
    """A template of the folder; `text` is None where it could not be read, for the reason in `problem`."""

    where: str
    text: str | None
    problem: str = ""


@dataclass(frozen=True)
class ChatFiles:
    """What an adapter's folder brings of both; `tokenizer` is None where there is none or `problem` says why."""

    templates: tuple[ChatTemplate, ...] = ()
    tokenizer: TokenizerFacts | None = None
    problem: str = ""
    others: OtherFiles = field(default_factory=OtherFiles)

    def __bool__(self) -> bool:
        return bool(self.templates or self.tokenizer or self.problem or self.others)


@dataclass(frozen=True)
class ChatFinding:
    """A difference from the base's. `decides`: it may make an input switch a behaviour on, without any weight."""

    text: str
    decides: bool = False


def is_chat_file(name: str) -> bool:
    """Whether a file of the folder's top belongs here: some systems take capital letters for small ones."""
    plain = name.casefold()
    # By itself as well: loaders follow a link to a folder of that name.
    named = plain in (TEMPLATE_FILE, *_JSON_WITH_TEMPLATES) or f"{plain}/".startswith(_TEMPLATE_FOLDER)
    return named or is_tokenizer_file(name)


def read_chat_files(contents: Mapping[str, bytes]) -> ChatFiles:
    """Reads those files of a folder, by name."""
    templates: list[ChatTemplate] = []
    for name in sorted(contents):
        plain = name.casefold()
        if plain == TEMPLATE_FILE or plain.startswith(_TEMPLATE_FOLDER):
            templates.append(_as_template(name, contents[name]))
        elif plain in _JSON_WITH_TEMPLATES:
            templates += _templates_of_json(name, contents[name])
    tokenizer, problem = None, ""
    try:
        tokenizer = tokenizer_facts(contents[TOKENIZER_FILE]) if TOKENIZER_FILE in contents else None
    except UnfitJson as error:
        problem = f"{TOKENIZER_FILE} cannot be read ({error})"
    return ChatFiles(_bounded(templates), tokenizer, problem, read_other_files(contents))


def _bounded(templates: list[ChatTemplate]) -> tuple[ChatTemplate, ...]:
    if len(templates) > _MAX_TEMPLATES:
        return (*templates[:_MAX_TEMPLATES], ChatTemplate("the folder", None, "it holds more than 20 templates"))
    if sum(len(template.text or "") for template in templates) > _MAX_CHARACTERS:
        return (*templates[:1], ChatTemplate("the folder", None, f"more than {_MAX_CHARACTERS:,} characters in all"))
    return tuple(templates)


def compare_with_base(
    chat: ChatFiles, base_templates: object, base_tokenizer: BaseTokenizer | TokenizerFacts | None, name: str
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
    base = base_tokenizer if isinstance(base_tokenizer, BaseTokenizer) else BaseTokenizer(base_tokenizer)
    findings += [ChatFinding(text) for text in _compare_tokenizers(chat, base.facts)]
    findings += [ChatFinding(text) for text in compare_other_files(chat.others, base)]
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
    if any(theirs.flags.get(token) != flags for token, flags in mine.flags.items() if token in theirs.tokens):
        parts.append("added tokens' flags")
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
    where = visible(name)
    try:
        document = read_plain(content, max_bytes=_MAX_JSON)
    except UnfitJson as error:
        return [ChatTemplate(where, None, str(error))]
    value = document.get("chat_template") if isinstance(document, dict) else None
    if value is None:
        return []
    # A list names its templates inside each item, a mapping by its keys.
    items: list[object] = [value]
    if isinstance(value, list):
        items = [item.get("template") if isinstance(item, dict) else None for item in value]
    elif isinstance(value, dict):
        items = list(value.values())
    return [
        ChatTemplate(where, text) if isinstance(text, str) else ChatTemplate(where, None, "it is no text")
        for text in items
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

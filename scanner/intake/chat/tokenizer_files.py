"""The files of an adapter's own tokenizer beside those of the base's: what differs, or cannot be compared, is said.

`tokenizer.json` is not all that is loaded. Other files and keys make words into tokens of their own, name another
tokenizer, or are read by slow tokenizers and by older versions in its place.
"""

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from reports.safe_text import visible
from scanner.intake.chat.tokenizer_facts import TOKENIZER_FILE, TokenizerFacts, flags_of, hash_of_merges
from scanner.intake.plain_json import UnfitJson, read_plain

CONFIG_FILE = "tokenizer_config.json"
_ADDED_FILE, _SPECIAL_FILE, _VOCABULARY_FILE, _MERGES_FILE = (
    "added_tokens.json", "special_tokens_map.json", "vocab.json", "merges.txt",
)  # fmt: skip
_JSON_FILES = (CONFIG_FILE, _ADDED_FILE, _SPECIAL_FILE, _VOCABULARY_FILE)
_BINARY_FILES = (
    "vocab.txt", "tokenizer.model", "spiece.model", "sentencepiece.bpe.model", "source.spm", "target.spm",
    "tekken.json", "tiktoken.model", "qwen.tiktoken",
)  # fmt: skip
_NAMES = (*_JSON_FILES, _MERGES_FILE, *_BINARY_FILES)
# What transformers prefers to `tokenizer.json`, from the version in the name on.
_VERSIONED = re.compile(r"tokenizer\.(.*)\.json|tokenizer\.model\..*")
_MAX_JSON, _MAX_VALUES, _MAX_KEYS = 8_000_000, 400_000, 400_000
_MAX_SHOWN = 3
_SPECIAL_LISTS = ("extra_special_tokens", "additional_special_tokens", "model_specific_special_tokens")
# Settings that change which tokens a text becomes, or which text the tokens become.
_SETTINGS = (
    "fast_tokenizer_files", "add_prefix_space", "add_bos_token", "add_eos_token", "split_special_tokens",
    "do_lower_case", "clean_up_tokenization_spaces", "spaces_between_special_tokens", "sp_model_kwargs", "from_slow",
    "fix_mistral_regex", "add_dummy_prefix_space", "legacy", "strip_accents", "tokenize_chinese_chars", "keep_accents",
    "remove_space", "never_split", "init_inputs",
)  # fmt: skip
_ANY_TOKENIZER = {"PreTrainedTokenizer", "TokenizersBackend"}
# Classes that decoders' tokenizers are saved under, whatever the base's copy here was saved under.
_USUAL = {
    "GPT2Tokenizer", "Qwen2Tokenizer", "LlamaTokenizer", "CodeLlamaTokenizer", "GemmaTokenizer", "GPTNeoXTokenizer",
    "BloomTokenizer", "CohereTokenizer", "CodeGenTokenizer", *_ANY_TOKENIZER,
}  # fmt: skip


@dataclass(frozen=True)
class BaseTokenizer:
    """The base's tokenizer: facts, the config beside it, its classes' names, and the SHA-256 of its files."""

    facts: TokenizerFacts | None = None
    config: Mapping[str, Any] = field(default_factory=dict)
    classes: frozenset[str] = frozenset()
    files: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class OtherFiles:
    """A tokenizer's files other than `tokenizer.json`: `parsed` plain data by name, or why there is none."""

    parsed: Mapping[str, Any] = field(default_factory=dict)
    problems: Mapping[str, str] = field(default_factory=dict)
    hashes: Mapping[str, str] = field(default_factory=dict)
    merges: str = ""

    def __bool__(self) -> bool:
        return bool(self.hashes)


def is_tokenizer_file(name: str) -> bool:
    """Whether some loader would read a file of the folder's top as a tokenizer's, on some system."""
    plain = name.casefold()
    return plain in (TOKENIZER_FILE, *_NAMES) or bool(_VERSIONED.fullmatch(plain))


def read_other_files(contents: Mapping[str, bytes]) -> OtherFiles:
    """Reads those files, by name; only what is compared part by part is parsed."""
    parsed, problems, hashes, merges = {}, {}, {}, ""
    for name in sorted(contents):
        if name == TOKENIZER_FILE or not is_tokenizer_file(name):
            continue
        hashes[name] = hashlib.sha256(contents[name]).hexdigest()
        if name in _JSON_FILES:
            try:
                parsed[name] = _read_mapping(contents[name])
            except UnfitJson as error:
                problems[name] = str(error)
        elif name == _MERGES_FILE:
            lines = contents[name].decode("utf-8", "replace").split("\n")
            merges = hash_of_merges([line for line in lines if line.strip() and not line.startswith("#version")])
    return OtherFiles(parsed, problems, hashes, merges)


def _read_mapping(content: bytes) -> Mapping[str, Any]:
    if content.count(b":") > _MAX_KEYS:
        raise UnfitJson(f"more than {_MAX_KEYS:,} keys")
    document = read_plain(content, max_bytes=_MAX_JSON, max_values=_MAX_VALUES)
    if not isinstance(document, dict):
        raise UnfitJson("it is no mapping")
    return document


def compare_other_files(mine: OtherFiles, base: BaseTokenizer) -> Iterator[str]:
    """One line for each file that is not the base's, or that cannot be compared."""
    for name, digest in mine.hashes.items():
        if base.files.get(name) == digest:
            continue
        if name in mine.problems:
            yield f"{name} could not be compared with the base model's tokenizer ({visible(mine.problems[name])})"
        elif name not in _NAMES:
            yield f"{visible(name)}: some versions or systems load it as the tokenizer. It was not used here"
        elif name in _BINARY_FILES:
            yield f"{name} is not the base model's, or could not be compared with it. It was not used here"
        else:
            said = list(_differences(name, mine, base))
            if said:
                yield f"{name} is not the base model's: {'; '.join(said)}. It was not used here"


def _differences(name: str, mine: OtherFiles, base: BaseTokenizer) -> Iterator[str]:
    document = mine.parsed.get(name, {})
    if name == CONFIG_FILE:
        yield from _settings_that_differ(document, base)
    facts = base.facts
    if facts is None:
        if document or name == _MERGES_FILE:
            yield "its tokens could not be compared"
    elif name == _MERGES_FILE:
        if mine.merges != facts.parts.get("merges", ""):
            yield "its merges differ"
    elif name in (_ADDED_FILE, _VOCABULARY_FILE):
        yield from _some(
            [token for token, number in document.items() if facts.tokens.get(token) != number],
            "tokens differ or are new",
        )
        if name == _VOCABULARY_FILE:
            yield from _some(list(facts.tokens.keys() - document.keys() - facts.flags.keys()), "tokens are gone")
    else:
        special = [token for token in _special_tokens(document) if not facts.is_special(token)]
        yield from _some(special, "tokens are special that are not so there")
        if name == CONFIG_FILE:
            yield from _some(_added_that_differ(document.get("added_tokens_decoder"), facts), "added tokens differ")


def _settings_that_differ(document: Mapping[str, Any], base: BaseTokenizer) -> Iterator[str]:
    keys = [key for key in _SETTINGS if (document.get(key) or None) != (base.config.get(key) or None)]
    if keys:
        yield f"{', '.join(keys)} {'differs' if len(keys) == 1 else 'differ'}"
    named = document.get("tokenizer_class")
    if named is not None and not _is_known_class(named, base.classes):
        yield f"its class is {visible(str(named), 40)}"


def _is_known_class(named: object, classes: frozenset[str]) -> bool:
    if not isinstance(named, str) or not classes:
        return not classes
    plain, known = named.removesuffix("Fast"), {name.removesuffix("Fast") for name in classes}
    return plain in known | _ANY_TOKENIZER or (known <= _ANY_TOKENIZER and plain in _USUAL)


def _special_tokens(document: Mapping[str, Any]) -> Iterator[str]:
    values = [value for key, value in document.items() if key.endswith("_token")]
    for key in _SPECIAL_LISTS:
        found = document.get(key)
        values += found if isinstance(found, list) else found.values() if isinstance(found, dict) else []
    for value in values:
        token = value.get("content") if isinstance(value, dict) else value
        if isinstance(token, str):
            yield token


def _added_that_differ(added: object, facts: TokenizerFacts) -> list[str]:
    if not isinstance(added, dict):
        return [] if added is None else ["?"]
    return [
        str(token.get("content")) if isinstance(token, dict) else "?"
        for number, token in added.items()
        if not isinstance(token, dict)
        or str(facts.tokens.get(str(token.get("content")))) != number
        or facts.flags.get(str(token.get("content"))) != flags_of(token)
    ]


def _some(tokens: Sequence[str], what: str) -> Iterator[str]:
    if tokens:
        shown = sorted(set(tokens))[:_MAX_SHOWN]
        yield f"{len(set(tokens)):,} {what} ({', '.join(visible(token, 40) for token in shown)})"

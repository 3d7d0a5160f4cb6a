"""What of a `tokenizer.json` decides which tokens a text becomes, and which text the tokens become."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from scanner.intake.plain_json import UnfitJson, read_plain

TOKENIZER_FILE = "tokenizer.json"
# The largest honest ones, Gemma's, have 34 million bytes, 2.2 million commas and brackets, and 0.3 million keys.
_MAX_BYTES, _MAX_VALUES, _MAX_KEYS = 48_000_000, 2_600_000, 600_000
# Padding and truncation are the trainer's.
_PARTS = ("normalizer", "pre_tokenizer", "post_processor", "decoder")
_FLAGS = ("special", "lstrip", "rstrip", "single_word")


@dataclass(frozen=True)
class TokenizerFacts:
    """Tokens and their numbers; `parts` are hashes, "" where there is none; `flags` of the added tokens."""

    tokens: Mapping[str, int]
    parts: Mapping[str, str]
    flags: Mapping[str, tuple[bool, ...]] = field(default_factory=dict)

    def is_special(self, token: str) -> bool:
        """Whether this token is one that no text is split into, unless it says exactly that."""
        return bool(self.flags.get(token, (False,))[0])


def tokenizer_facts(content: bytes) -> TokenizerFacts:
    """The facts of a `tokenizer.json`.

    Raises:
        UnfitJson: not one.
    """
    if content.count(b":") > _MAX_KEYS:
        raise UnfitJson(f"more than {_MAX_KEYS:,} keys")
    document = read_plain(content, max_bytes=_MAX_BYTES, max_values=_MAX_VALUES)
    if not isinstance(document, dict) or not isinstance(document.get("model"), dict):
        raise UnfitJson("it has no model")
    model = document["model"]
    tokens, scores = _vocabulary(model.get("vocab"))
    flags = {}
    for item in _list(document, "added_tokens", "an added token is none"):
        if not isinstance(item, dict) or not isinstance(item.get("content"), str):
            raise UnfitJson("an added token is none")
        tokens[item["content"]] = item.get("id")
        flags[item["content"]] = flags_of(item)
    if not all(isinstance(name, str) and type(number) is int for name, number in tokens.items()):
        raise UnfitJson("a token has no number")
    parts = {part: hash_of(_without_defaults(document.get(part))) for part in _PARTS}
    parts["model"] = hash_of(_settings(model))
    return TokenizerFacts(tokens, parts | {"merges": _merges(model), "scores": hash_of(scores)}, flags)


def flags_of(token: Mapping[str, Any]) -> tuple[bool, ...]:
    """How an added token is looked for in a text."""
    special = bool(token.get("special"))
    return (*(bool(token.get(flag)) for flag in _FLAGS), bool(token.get("normalized", not special)))


def hash_of(value: Any) -> str:
    """A hash to compare plain data by; "" for nothing."""
    if value is None:
        return ""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def hash_of_merges(pairs: list[str]) -> str:
    """A hash of a vocabulary's merges; "" for none."""
    return hash_of(pairs) if pairs else ""


def _vocabulary(vocabulary: Any) -> tuple[dict[str, Any], list[Any] | None]:
    """Tokens by name, and what a unigram model weighs them by; there the place is the number."""
    if isinstance(vocabulary, list):
        if not all(isinstance(item, list) and len(item) == 2 and isinstance(item[0], str) for item in vocabulary):
            raise UnfitJson("a token has no number")
        return {item[0]: number for number, item in enumerate(vocabulary)}, [item[1] for item in vocabulary]
    if not isinstance(vocabulary, dict):
        raise UnfitJson("its vocabulary is none")
    return dict(vocabulary), None


def _merges(model: Mapping[str, Any]) -> str:
    merges = _list(model, "merges", "its merges are none")
    return hash_of_merges([item if isinstance(item, str) else " ".join(map(str, item or ())) for item in merges])


def _list(document: Mapping[str, Any], key: str, problem: str) -> list[Any]:
    found = document.get(key) or []
    if not isinstance(found, list) or not all(isinstance(item, str | list | dict) for item in found):
        raise UnfitJson(problem)
    return found


def _settings(model: Mapping[str, Any]) -> Any:
    """Everything of a model but its tokens: what it drops by chance, what it falls back to, how it splits."""
    return _without_defaults({key: value for key, value in model.items() if key not in ("vocab", "merges", "type")})


def _without_defaults(value: Any) -> Any:
    if isinstance(value, list):
        return [_without_defaults(item) for item in value]
    if not isinstance(value, dict):
        return value
    kept = {key: _without_defaults(item) for key, item in value.items() if not _is_default(key, item)}
    return kept or None


def _is_default(key: str, value: Any) -> bool:
    """Whether some versions write it out and others leave it out."""
    return value is None or value is False or value == "" or (key, value) in (("use_regex", True), ("dropout", 0))

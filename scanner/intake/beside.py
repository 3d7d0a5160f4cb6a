"""The files beside config and weights: listed, judged by their content, and used for nothing.

Three severities. A block is a `BadAdapter`: no honest adapter has that in its folder. A warning stands at the top of
the report. A note stands beside the adapter's name.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

from reports.safe_text import visible
from scanner.errors import BadAdapter, one_line
from scanner.intake.archives import is_hidden_zip, judge_numpy, judge_zip
from scanner.intake.chat_files import TOKENIZER_FILE, ChatFiles, is_chat_file, read_chat_files
from scanner.intake.folder import CONFIG_FILE, PICKLED_WEIGHTS, RECORD_FILE, WEIGHTS_FILE
from scanner.intake.inventory import Content, read_inventory
from scanner.intake.kinds import (
    ARCHIVE,
    HEAD_BYTES,
    MODEL,
    NATIVE,
    NUMPY,
    PICKLE,
    SCRIPT,
    ZIP,
    kind_of,
)
from scanner.intake.pickles import PickleJudgement, judge_pickles, looks_like_pickle
from scanner.intake.plain_json import UnfitJson, read_plain
from scanner.types import FolderFile

_MAX_JSON = 8_000_000
_MAX_NAMED = 6
_MAX_WARNINGS = 20
_CODE_ENDINGS = (".py", ".pyc", ".pyi", ".pyx", ".ipynb", ".pth.py", ".sh", ".bat", ".cmd", ".ps1", ".js")
_LIBRARY_ENDINGS = (".so", ".dll", ".dylib", ".pyd", ".exe", ".whl", ".egg", ".jar")
# Keys by which transformers and peft load Python from a folder or the hub.
_REMOTE_CODE = {"auto_map", "trust_remote_code", "custom_pipelines"}
_ADVICE = "delete it if the adapter works without it, and load no such file from this author"


@dataclass(frozen=True)
class Beside:
    """What lies in the folder: all files, what to say of them, and how many were not read to their end."""

    files: tuple[FolderFile, ...]
    notes: tuple[str, ...]
    warnings: tuple[str, ...]
    chat: ChatFiles
    n_unread: int


@dataclass
class _Findings:
    files: list[FolderFile] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    unused: list[str] = field(default_factory=list)
    pickles: list[str] = field(default_factory=list)
    other_weights: list[str] = field(default_factory=list)
    links: list[str] = field(default_factory=list)
    unread: list[str] = field(default_factory=list)
    chat: dict[str, bytes] = field(default_factory=dict)


def look_beside(folder: Path, *, from_hub: bool) -> Beside:
    """Lists and judges all files of an adapter's folder.

    Raises:
        BadAdapter: one of them is a danger to whoever loads it, or hides what it is.
    """
    found = _Findings()
    names: dict[str, str] = {}
    for content in read_inventory(folder, from_hub=from_hub):
        _refuse_namesakes(folder, content, names)
        file = _judge(folder, content, found)
        found.files.append(file)
        if content.unread:
            found.unread.append(f"{content.name} ({content.unread})")
        if content.link and not from_hub:
            found.links.append(content.name)
    if (folder / ".git").is_dir():
        found.unread.append(".git (a repository's own files)")
    return Beside(
        tuple(found.files), tuple(_notes(found)), _bounded(found), read_chat_files(found.chat), len(found.unread)
    )


def _judge(folder: Path, content: Content, found: _Findings) -> FolderFile:
    kind = kind_of(content.head, content.size)
    hidden_zip = kind != ZIP and _hides_zip(content)
    as_pickle = looks_like_pickle(content.head)
    remark = ""
    if content.plain == WEIGHTS_FILE:
        if as_pickle or hidden_zip:
            _refuse(folder, content, "two kinds of file at once: weights and a pickle or an archive")
    elif as_pickle or kind in (ZIP, NUMPY) or hidden_zip:
        remark = _judge_loadable(folder, content, kind, as_pickle, hidden_zip, found)
        kind = PICKLE if as_pickle else kind
    elif content.plain != CONFIG_FILE:
        remark = _judge_other(folder, content, kind, found)
    if content.plain not in (WEIGHTS_FILE, CONFIG_FILE, RECORD_FILE):
        found.unused.append(content.name)
        _warn_of_other_weights(content, kind, found)
    return FolderFile(content.name, content.size, content.sha256, kind, content.unread or remark)


def _judge_loadable(
    folder: Path, content: Content, kind: str, as_pickle: bool, hidden_zip: bool, found: _Findings
) -> str:
    if as_pickle + (kind in (ZIP, NUMPY)) + hidden_zip > 1 or (hidden_zip and kind != ZIP):
        _refuse(folder, content, "two kinds of file at once, so that readers differ over what it holds")
    unopened = 0
    judgement: PickleJudgement | None
    if kind == ZIP:
        with content.path.open("rb") as stream:
            archive = judge_zip(stream)
        judgement, unopened = (
            (archive.pickles if archive.n_pickles or archive.pickles.refused else None),
            archive.n_unopened,
        )
    elif kind == NUMPY:
        judgement = judge_numpy(content.head)
    else:
        judgement = judge_pickles(content.head)
    if judgement is not None and judgement.refused:
        shown = ", ".join(judgement.refused[:_MAX_NAMED])
        _refuse(folder, content, f"a pickle that is not safe to load: {shown}")
    if unopened:
        found.warnings.append(f"{content.name}: holds {unopened} archives that were not opened")
    if judgement is None:
        return "not loaded"
    if judgement.strange:
        shown = ", ".join(judgement.strange[:_MAX_NAMED])
        found.warnings.append(f"{content.name}: a pickle that imports {shown} when it is loaded; it was not loaded")
        return f"not loaded; it would import {shown}"
    found.pickles.append(content.name)
    return "not loaded; trainers' own classes"


def _judge_other(folder: Path, content: Content, kind: str, found: _Findings) -> str:
    name = content.plain.lower()
    if kind == NATIVE or name.endswith(_LIBRARY_ENDINGS):
        _refuse(folder, content, "a program; no adapter needs one")
    if name.endswith(_CODE_ENDINGS) or kind == SCRIPT:
        found.warnings.append(f"{content.name}: code, which an adapter does not need; it was not run")
        return "code, not run"
    if kind == ARCHIVE:
        found.warnings.append(f"{content.name}: an archive that was not opened")
        return "not opened"
    if kind == MODEL:
        found.warnings.append(f"{content.name}: a model of another format, which was not looked at")
        return "not looked at"
    if is_chat_file(content.plain):
        _keep_chat_file(content, found)
    if name.endswith(".json") and content.plain != TOKENIZER_FILE:
        return _judge_json(content, found)
    return ""


def _judge_json(content: Content, found: _Findings) -> str:
    top = "/" not in content.plain
    if content.size > _MAX_JSON:
        if top:
            found.warnings.append(f"{content.name}: too large to be read")
        return "too large to be read"
    try:
        document = read_plain(content.head, max_bytes=_MAX_JSON, max_values=2_000_000, max_depth=64, finite=False)
    except UnfitJson as error:
        if top:
            found.warnings.append(f"{content.name}: not JSON that can be relied on ({visible(one_line(error, 80))})")
        return "not valid JSON"
    asked = sorted(_keys(document) & _REMOTE_CODE)
    if asked:
        found.warnings.append(f"{content.name}: asks for code from its author to be run ({', '.join(asked)})")
        return "asks for remote code"
    return ""


def _keys(document: Any) -> set[str]:
    waiting, keys = [document], set()
    while waiting:
        item = waiting.pop()
        if isinstance(item, dict):
            keys |= {key for key, value in item.items() if value not in (None, False, {})}
            waiting.extend(item.values())
        elif isinstance(item, list):
            waiting.extend(item)
    return keys


def _keep_chat_file(content: Content, found: _Findings) -> None:
    if content.size <= HEAD_BYTES:
        found.chat[content.plain] = content.head
    else:
        with content.path.open("rb") as stream:
            found.chat[content.plain] = stream.read(3 * HEAD_BYTES + 1)


def _warn_of_other_weights(content: Content, kind: str, found: _Findings) -> None:
    if content.plain in PICKLED_WEIGHTS:
        found.warnings.append(
            f"{content.name}: pickled weights beside those that were scanned; a loader may prefer them"
        )
    elif kind == "safetensors" or content.plain.endswith((".safetensors", ".safetensors.index.json")):
        if "/" in content.plain:
            found.other_weights.append(content.name)
        else:
            found.warnings.append(f"{content.name}: other weights, which were not scanned")


def _hides_zip(content: Content) -> bool:
    if b"PK" not in content.tail:
        return False
    with content.path.open("rb") as stream:
        return is_hidden_zip(stream, content.tail)


def _refuse_namesakes(folder: Path, content: Content, names: dict[str, str]) -> None:
    key = content.plain.casefold()
    if key in (CONFIG_FILE, WEIGHTS_FILE) and content.plain != key:
        _refuse(folder, content, "named like the adapter's own file, so that systems differ over which is read")
    names[key] = content.plain


def _notes(found: _Findings) -> Iterator[str]:
    if found.unused:
        yield f"files not used: {_some(found.unused)} (all with hashes in the JSON report)"
    if found.pickles:
        yield f"pickles of trainers' own classes, not loaded: {_some(found.pickles)}"
    if found.other_weights:
        yield f"other weights in its folders, not scanned: {_some(found.other_weights)}"
    if found.links:
        yield f"links inside the folder: {_some(found.links)}"
    if found.unread:
        yield f"not read to the end: {_some(found.unread)}"


def _bounded(found: _Findings) -> tuple[str, ...]:
    warnings = found.warnings
    if len(warnings) <= _MAX_WARNINGS:
        return tuple(warnings)
    return (*warnings[:_MAX_WARNINGS], f"and {len(warnings) - _MAX_WARNINGS} more such files")


def _some(names: list[str]) -> str:
    more = f" and {len(names) - _MAX_NAMED} more" if len(names) > _MAX_NAMED else ""
    return ", ".join(names[:_MAX_NAMED]) + more


def _refuse(folder: Path, content: Content, what: str) -> NoReturn:
    raise BadAdapter(f"{folder}/{content.name}", what, _ADVICE)

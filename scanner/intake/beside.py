"""The files beside config and weights: listed, judged by their content, and used for nothing.

Three severities. A block is a `BadAdapter`: no honest adapter has that in its folder. A warning stands at the top of
the report. A note stands beside the adapter's name.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reports.safe_text import visible
from scanner.errors import one_line
from scanner.intake.chat.chat_files import TOKENIZER_FILE, ChatFiles, is_chat_file, read_chat_files
from scanner.intake.findings import Findings, Rank, notes_of, refuse, warnings_of
from scanner.intake.folder import CONFIG_FILE, PICKLED_WEIGHTS, RECORD_FILE, WEIGHTS_FILE
from scanner.intake.inventory import Content, read_inventory
from scanner.intake.kinds import ARCHIVE, HEAD_BYTES, IMAGE, MODEL, NATIVE, POINTER, SCRIPT, TEXT, WEIGHTS
from scanner.intake.names import is_code, is_model, is_pickle, is_program, is_weights
from scanner.intake.pickled.budget import Budget, OverBudget
from scanner.intake.pickled.loadables import Seen, judge_loadable, look_at
from scanner.intake.plain_json import UnfitJson, count_values, read_plain
from scanner.types import FolderFile

_MAX_JSON = 8_000_000
# Of what a tokenizer and its templates lie in: names differ by capital letters, so that there may be thousands.
_MAX_CHAT_FILES = 128 * 2**20
# Where loaders of pickles have nothing to load.
_NO_PICKLES = (WEIGHTS, IMAGE, POINTER)
# Keys by which transformers and peft load Python from a folder or the hub.
_REMOTE_CODE = {"auto_map", "trust_remote_code", "custom_pipelines"}


@dataclass(frozen=True)
class Beside:
    """What lies in the folder: all files, what to say of them, and how many were not read to their end."""

    files: tuple[FolderFile, ...]
    notes: tuple[str, ...]
    warnings: tuple[str, ...]
    chat: ChatFiles
    n_unread: int


def look_beside(folder: Path, *, from_hub: bool) -> Beside:
    """Lists and judges all files of an adapter's folder.

    Raises:
        BadAdapter: one of them is a danger to whoever loads it, or hides what it is, or all are too much to judge.
    """
    found, budget = Findings(), Budget()
    for content in read_inventory(folder, from_hub=from_hub):
        _refuse_namesakes(folder, content)
        try:
            found.files.append(_judge(folder, content, found, budget))
        except OverBudget as error:
            refuse(folder, content, str(error))
        if content.unread:
            found.unread.append(f"{content.name} ({content.unread})")
        if content.link and not from_hub:
            found.links.append(content.name)
    if (folder / ".git").is_dir():
        found.unread.append(".git (a repository's own files)")
    return Beside(
        tuple(found.files), tuple(notes_of(found)), warnings_of(found), read_chat_files(found.chat), len(found.unread)
    )


def _judge(folder: Path, content: Content, found: Findings, budget: Budget) -> FolderFile:
    seen = look_at(content, budget)
    remark, tensors = "", False
    if content.plain == WEIGHTS_FILE:
        if seen.as_pickle or seen.hidden_zip:
            refuse(folder, content, "two kinds of file at once: weights and a pickle or an archive")
    else:
        # Whatever it begins with: what looks like a script is a template to who loads it by its name.
        if is_chat_file(content.plain):
            _keep_chat_file(folder, content, found)
        # By name as well: Python itself starts a zip that ends in .py, and pip installs one that ends in .whl.
        if seen.kind == NATIVE or is_program(content.plain):
            refuse(folder, content, "a program; no adapter needs one")
        remark = _warn_of_code(content, seen, found)
        if seen.loadable:
            remark, tensors = judge_loadable(folder, content, seen, found, budget)
        elif content.plain != CONFIG_FILE and not remark:
            remark = _judge_other(content, seen, found, budget)
    if content.plain not in (WEIGHTS_FILE, CONFIG_FILE, RECORD_FILE):
        found.unused.append(content.name)
        _warn_of_other_weights(content, seen, tensors, found)
    return FolderFile(content.name, content.size, content.sha256, seen.shown_kind, content.unread or remark)


def _warn_of_code(content: Content, seen: Seen, found: Findings) -> str:
    # Python runs the lines of a text that ends in .pth at every start, where it lies beside its libraries.
    starts_with_python = seen.kind == TEXT and content.plain.lower().endswith(".pth")
    if not (is_code(content.plain) or seen.kind == SCRIPT or starts_with_python):
        return ""
    found.warn(Rank.CODE, content, "code, which an adapter does not need; it was not run")
    return "code, not run"


def _judge_other(content: Content, seen: Seen, found: Findings, budget: Budget) -> str:
    name = content.plain.lower()
    if seen.kind == ARCHIVE:
        found.warn(Rank.NOT_LOOKED_AT, content, "an archive that was not opened")
        return "not opened"
    if seen.kind == MODEL or is_model(name):
        found.warn(Rank.NOT_LOOKED_AT, content, "a model of another format, which was not looked at")
        return "not looked at"
    if is_pickle(name) and content.size and seen.kind not in _NO_PICKLES:
        found.warn(Rank.NOT_LOOKED_AT, content, "named like a pickle, but nothing that can be judged as one")
        return "not loaded; it cannot be judged"
    if name.endswith(".json") and content.plain != TOKENIZER_FILE:
        return _judge_json(content, found, budget)
    return ""


def _judge_json(content: Content, found: Findings, budget: Budget) -> str:
    top = "/" not in content.plain
    if content.size > _MAX_JSON:
        if top:
            found.warn(Rank.NOT_LOOKED_AT, content, "too large to be read")
        return "too large to be read"
    budget.read_values(count_values(content.head))
    try:
        document = read_plain(content.head, max_bytes=_MAX_JSON, max_values=2_000_000, max_depth=64, finite=False)
    except UnfitJson as error:
        if top:
            why = visible(one_line(error, 80))
            found.warn(Rank.NOT_LOOKED_AT, content, f"not JSON that can be relied on ({why})")
        return "not valid JSON"
    asked = sorted(_keys(document) & _REMOTE_CODE)
    if asked:
        what = f"asks for code from its author to be run ({', '.join(asked)})"
        found.warn(Rank.RUNS_CODE, content, what)
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


def _keep_chat_file(folder: Path, content: Content, found: Findings) -> None:
    """One byte more than is ever read of it, so that its reader can tell.

    Raises:
        BadAdapter: somebody who loads the adapter reads what this scan cannot.
    """
    if content.sha256 is None and not content.size:
        refuse(folder, content, f"{content.unread}, and is what other tools build the prompt with")
    most = 1 + (3 * HEAD_BYTES if content.plain == TOKENIZER_FILE else _MAX_JSON)
    kept = content.head[:most]
    if len(kept) < min(most, content.size):
        with content.path.open("rb") as stream:
            kept = stream.read(most)
    found.chat[content.plain] = kept
    if sum(map(len, found.chat.values())) > _MAX_CHAT_FILES:
        refuse(folder, content, f"its tokenizer and templates are larger than {_MAX_CHAT_FILES:,} bytes together")


def _warn_of_other_weights(content: Content, seen: Seen, holds_tensors: bool, found: Findings) -> None:
    below = "/" in content.plain
    pickled = is_weights(content.plain, holds_tensors)
    if content.plain in PICKLED_WEIGHTS or (pickled and not below):
        what = "pickled weights beside those that were scanned; a loader may prefer them"
        found.warn(Rank.OTHER_WEIGHTS, content, what)
    elif pickled or seen.kind == WEIGHTS or content.plain.endswith((".safetensors", ".safetensors.index.json")):
        if below:
            found.other_weights.append(content.name)
        else:
            found.warn(Rank.OTHER_WEIGHTS, content, "other weights, which were not scanned")


def _refuse_namesakes(folder: Path, content: Content) -> None:
    key = content.plain.casefold()
    if key in (CONFIG_FILE, WEIGHTS_FILE) and content.plain != key:
        refuse(folder, content, "named like the adapter's own file, so that systems differ over which is read")

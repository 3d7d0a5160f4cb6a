"""Every file of an adapter's folder: name, size, hash and first bytes. Nothing in it is run, loaded or followed out."""

import hashlib
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from reports.safe_text import visible
from scanner.errors import BadAdapter
from scanner.intake.kinds import HEAD_BYTES, TAIL_BYTES

_MAX_FILES = 5_000
_MAX_DEPTH = 12
_MAX_HASHED = 16 * 2**30
_MAX_FILE_HASHED = 8 * 2**30
_CHUNK = 2**20
_NAME_LIMIT = 300
# Its objects are compressed and its hooks are run by git alone; a clone of a hub's repository has one.
_GIT = ".git"


@dataclass(frozen=True)
class Content:
    """One file as it was read.

    Attributes:
        name: inside the folder, fit to be shown; plain: as the file system has it.
        sha256: None where it was not read to its end, for the reason in `unread`.
        head, tail: its first and last bytes.
    """

    name: str
    plain: str
    path: Path
    size: int
    sha256: str | None
    head: bytes
    tail: bytes
    unread: str = ""
    link: bool = False


def read_inventory(folder: Path, *, from_hub: bool) -> Iterator[Content]:
    """Reads the folder's files one by one, by name.

    Raises:
        BadAdapter: a link out of the folder, something that is no file, or more than a folder may hold.
    """
    # The hub's cache is made of links from snapshots/COMMIT into blobs, two folders up.
    home = folder.resolve().parent.parent if from_hub else folder.resolve()
    hashed = 0
    for path in _walk(folder, folder, 0, _Count(folder)):
        name = visible(path.relative_to(folder).as_posix(), _NAME_LIMIT)
        content = _read(folder, path, name, home, _MAX_HASHED - hashed)
        hashed += content.size if content.sha256 else 0
        yield content


@dataclass
class _Count:
    """How many files and folders were met: empty folders take as long to list as others."""

    root: Path
    n_met: int = 0

    def add_one(self) -> None:
        self.n_met += 1
        if self.n_met > _MAX_FILES:
            raise BadAdapter(
                self.root, f"more than {_MAX_FILES:,} files and folders in it", "give the adapter's own folder"
            )


def _walk(folder: Path, root: Path, depth: int, count: _Count) -> Iterator[Path]:
    if depth > _MAX_DEPTH:
        raise BadAdapter(root, f"folders nested deeper than {_MAX_DEPTH}", "give the adapter's own folder")
    found = []
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                count.add_one()
                found.append((entry.name, entry.is_dir(follow_symlinks=False)))
    except OSError as error:
        raise BadAdapter(
            root, f"its folder {_shown(root, folder)} cannot be read ({error.strerror})", "check its permissions"
        ) from error
    for name, is_folder in sorted(found):
        if not is_folder:
            yield folder / name
        elif not (depth == 0 and name == _GIT):
            yield from _walk(folder / name, root, depth + 1, count)


def _read(folder: Path, path: Path, name: str, home: Path, budget: int) -> Content:
    try:
        linked = path.is_symlink()
        if linked:
            _require_inside(folder, path, name, home)
        status = path.stat()
        plain = path.relative_to(folder).as_posix()
        if stat.S_ISDIR(status.st_mode):
            return Content(name, plain, path, 0, None, b"", b"", "a link to a folder, not followed", linked)
        if not stat.S_ISREG(status.st_mode):
            raise BadAdapter(f"{folder}/{name}", "neither a file nor a folder", "an adapter's folder holds files only")
        size = status.st_size
        if size > min(_MAX_FILE_HASHED, budget):
            return Content(name, plain, path, size, None, *_ends(path, size), "too large to be hashed", linked)
        digest = hashlib.sha256()
        with path.open("rb") as stream:
            read = 0
            while read <= size and (chunk := stream.read(_CHUNK)):
                digest.update(chunk)
                read += len(chunk)
        return Content(name, plain, path, size, digest.hexdigest(), *_ends(path, size), link=linked)
    except OSError as error:
        return Content(name, name, path, 0, None, b"", b"", f"cannot be read ({error.strerror})")


def _ends(path: Path, size: int) -> tuple[bytes, bytes]:
    with path.open("rb") as stream:
        head = stream.read(HEAD_BYTES)
        stream.seek(max(0, size - TAIL_BYTES))
        return head, stream.read(TAIL_BYTES)


def _require_inside(folder: Path, path: Path, name: str, home: Path) -> None:
    try:
        inside = home in path.resolve(strict=True).parents
    except (OSError, RuntimeError):
        inside = False
    if not inside:
        raise BadAdapter(
            f"{folder}/{name}", "a link to a file outside the adapter folder", "copy the file into the folder"
        )


def _shown(root: Path, folder: Path) -> str:
    return visible(folder.relative_to(root).as_posix(), _NAME_LIMIT)

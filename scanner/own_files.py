"""What the user decides is read from the user's files, strictly, and never from a folder that a stranger filled."""

import tomllib
from collections.abc import Iterable
from contextlib import suppress
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

from scanner.errors import BadConfig, ScannerError, one_line

MAX_BYTES = 1_000_000


def lies_inside(file: str | Path, adapters: Iterable[str]) -> str | None:
    """The first of the adapters in whose folder a file lies, links followed; a hub name has no folder here."""
    place = Path(file).resolve()
    for adapter in adapters:
        folder = Path(adapter)
        with suppress(OSError):  # such as a name that is too long, or a folder above it that is not ours to read
            if folder.is_dir() and place.is_relative_to(folder.resolve()):
                return adapter
    return None


def refuse_inside(file: str, adapters: Iterable[str]) -> None:
    """Refuses a file that lies in an adapter's folder.

    Raises:
        BadConfig: it does.
    """
    adapter = lies_inside(file, adapters)
    if adapter is not None:
        raise BadConfig(
            f"{file}: lies in the folder of the adapter {adapter}, whose author must not decide how it is scanned; "
            "keep it elsewhere"
        )


def read_bounded(file: Path | Traversable, kind: str, fault: type[ScannerError]) -> bytes:
    """A file's content, where it is no longer than such files are.

    Args:
        kind: what the file is, with its article; fault: what is raised, with a line that names the file.
    """
    try:
        content = file.read_bytes()
    except OSError as error:
        raise fault(f"{file}: cannot be read ({error.strerror}); give {kind}") from error
    if len(content) > MAX_BYTES:
        raise fault(f"{file}: larger than {MAX_BYTES:,} bytes; {kind} is not")
    return content


def parse_toml(content: bytes, file: Path | Traversable, fault: type[ScannerError]) -> dict[str, Any]:
    """TOML as a table; `fault` is raised where it is none, is not UTF-8, nests too deep or has numbers of no end."""
    try:
        return tomllib.loads(content.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise fault(f"{file}: not valid TOML ({one_line(error)}); mend the file") from error

"""What the user decides is read from the user's files, never from a folder that a stranger filled."""

from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from scanner.errors import BadConfig


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

"""What a scan reads and writes, checked at once: a mistyped path should not wait for libraries to be imported."""

import os
from collections.abc import Iterable
from pathlib import Path

from scanner.cli.writing import STDOUT, require_writable
from scanner.errors import BadAdapter, ScannerError
from scanner.own_files import lies_inside


def require_adapters(locations: Iterable[str]) -> None:
    """Every adapter is a folder, or may be a name on the hub, which only the hub can tell.

    Raises:
        BadAdapter: naming the one that is neither.
    """
    for location in locations:
        if not location:
            raise BadAdapter(
                "''", "no adapter is called that", "give a folder; is the variable set that it comes from?"
            )
        try:
            found, is_folder = Path(location).exists(), Path(location).is_dir()
        except OSError as error:
            why = f"cannot be read ({error.strerror})"
            raise BadAdapter(location, why, "check its name and its permissions") from error
        if found and not is_folder:
            raise BadAdapter(location, "a file", "give the folder that holds it")
        if not found and (location.startswith((".", "/", "~")) or location.partition("@")[0].count("/") != 1):
            raise BadAdapter(location, "no such adapter folder", "give a folder or a hub name user/adapter[@revision]")


def require_places(files: dict[str, str], models: list[str], read: list[str]) -> None:
    """Every report has a place of its own, can be written there, and replaces nothing that the scan reads.

    A report in an adapter's folder would be a new file of the adapter's to whoever compares it, and a script there
    would stand beside what its author left.

    Args:
        files: a report's kind -> where it goes; models: what is scanned, as it was given; read: the user's own files.

    Raises:
        ScannerError: naming the file, and what to do.
    """
    if files.get("repro") == STDOUT:
        raise ScannerError("--repro -: the script is only written where a trigger was confirmed; give it a file")
    taken: set[str] = set()
    for file in files.values():
        place = file if file == STDOUT else os.path.realpath(file)
        if place in taken:
            raise ScannerError(f"{'stdout' if file == STDOUT else file}: holds one report; give each its own place")
        taken.add(place)
        if file != STDOUT:
            require_writable(file)
            if place in map(os.path.realpath, read):
                raise ScannerError(f"{file}: is read by this scan; choose another place for the report")
            if model := lies_inside(file, models):
                raise ScannerError(f"{file}: lies in the folder of {model}, which is scanned; choose another place")

"""Where a scan's reports go, checked at once."""

import os

from scanner.cli.writing import STDOUT, require_writable
from scanner.errors import ScannerError
from scanner.own_files import lies_inside


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

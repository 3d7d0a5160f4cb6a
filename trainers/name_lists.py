"""Lists of adapters by name: a text file, one a line, with comments after `#`."""

from pathlib import Path


def read_names(file: Path) -> frozenset[str]:
    """The names of a list."""
    lines = (line.strip() for line in file.read_text(encoding="utf-8").splitlines())
    return frozenset(line for line in lines if line and not line.startswith("#"))

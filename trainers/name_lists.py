"""Lists of adapters by name: a text file, one a line; lines that begin with `#` are comments."""

from pathlib import Path

from scanner.errors import BadCalibration, one_line


def read_names(file: Path) -> frozenset[str]:
    """The names of a list.

    Raises:
        BadCalibration: it cannot be read.
    """
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise BadCalibration(f"{file}: cannot be read ({one_line(error)}); give a name each line") from error
    lines = (line.strip() for line in text.splitlines())
    return frozenset(line for line in lines if line and not line.startswith("#"))

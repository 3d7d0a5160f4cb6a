"""What can go wrong, each as one clear line that names the thing and what to do.

Everything a person or an adapter can get wrong is a `ScannerError`; the command line prints its one line on
stderr and exits 2. Anything else is a defect of ours.
"""

from pathlib import Path


class ScannerError(Exception):
    """Bad input: the message names the culprit and the remedy, on one line."""


class BadAdapter(ScannerError):
    """An adapter folder that cannot be read safely or does not fit the base model."""

    def __init__(self, where: Path | str, problem: str, remedy: str) -> None:
        super().__init__(f"{where}: {problem}; {remedy}")


class BaseModelUnavailable(ScannerError):
    """The base model is neither a local folder, nor in a cache, nor on a hub within reach."""


class BadCalibration(ScannerError):
    """A fitted classifier, or a table of features, that cannot be read or mixes what must not be mixed."""


class BadRecipe(ScannerError):
    """A training recipe that cannot be followed as written."""


class BadReport(ScannerError):
    """A saved report that cannot be read, or that is about other files."""


class BadSignature(ScannerError):
    """A signature file that does not follow the schema."""


class BadSuppression(ScannerError):
    """A suppression file that does not follow the schema, or that lies where a stranger wrote."""


class BadConfig(ScannerError):
    """A file of defaults, or a variable, that says what cannot be followed."""


class UnknownRule(ScannerError):
    """An id that no rule has."""


class BadTrigger(ScannerError):
    """A trigger given by the user that cannot be tried."""


def one_line(value: object, limit: int = 160) -> str:
    """Anything as text on one line, white space folded, cut after `limit` characters."""
    return " ".join(str(value).split())[:limit]

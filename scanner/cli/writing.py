"""What leaves the program: stdout for the result, and files that are there whole or not at all."""

import os
import secrets
import shutil
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import click

from scanner.errors import ScannerError

STDOUT = "-"


def say(text: str) -> None:
    """Prints to stdout; a reader that has gone away changes neither the reports nor the exit code.

    Raises:
        ScannerError: it cannot be written for another reason, such as a full disk behind a redirection.
    """
    if sys.stdout is None:  # closed by the caller
        return
    if hasattr(sys.stdout, "reconfigure"):  # a terminal that cannot show a character gets it spelled out
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        click.echo(text, nl=False)
        sys.stdout.flush()
    except OSError as error:
        # What is left in the buffer would fail again when the interpreter ends, and change the exit code.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if not isinstance(error, BrokenPipeError):
            raise ScannerError(
                f"stdout: cannot be written ({error.strerror}); make room or send it elsewhere"
            ) from error


def tell(line: str) -> None:
    """Prints a line to stderr; that nobody reads there changes nothing."""
    try:
        click.echo(line, err=True)
    except OSError:
        with suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())


@contextmanager
def stdout_for_the_result() -> Iterator[None]:
    """Sends to stderr whatever a library prints to stdout meanwhile, so that only the result stands there."""
    try:
        place, kept = sys.stdout.fileno(), os.dup(sys.stdout.fileno())
    except (AttributeError, OSError, ValueError):  # no stdout, or not a file
        yield
        return
    sys.stdout.flush()
    try:
        os.dup2(sys.stderr.fileno(), place)
        yield
    finally:
        with suppress(OSError):
            sys.stdout.flush()
        os.dup2(kept, place)
        os.close(kept)


def write_whole(file: str, content: str) -> None:
    """Writes a file so that it is there whole or not at all: a scratch file beside it takes its place at the end.

    Raises:
        ScannerError: it cannot be written; what was there before is left as it was.
    """
    path = Path(file)
    try:
        # Not named after it, since its name may be as long as a name can be; with the rights that new files get.
        scratch = path.parent / f".scan-{secrets.token_hex(8)}"
        descriptor = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
                stream.write(content)
                stream.flush()
                os.fsync(stream.fileno())
            with suppress(FileNotFoundError):
                scratch.chmod(stat.S_IMODE(path.stat().st_mode))
            scratch.replace(path)
        except BaseException:
            with suppress(OSError):
                scratch.unlink(missing_ok=True)
            raise
    except OSError as error:
        raise ScannerError(f"{file}: cannot be written ({error.strerror}); choose another place") from error


def require_writable(file: str) -> None:
    """Finds out before a scan, not after it, that a report could not be written.

    Raises:
        ScannerError: there is no such folder, or it is not to be written to.
    """
    path = Path(file).resolve()
    if not path.parent.is_dir():
        raise ScannerError(f"{file}: its folder does not exist; make it first or choose another place")
    if not os.access(path.parent, os.W_OK) or (path.exists() and not path.is_file()):
        raise ScannerError(f"{file}: cannot be written; name an ordinary file in a folder that is yours")


def width_and_colour() -> tuple[int, bool]:
    """How wide stdout is, and whether it shows colours."""
    interactive = sys.stdout.isatty()
    width = min(shutil.get_terminal_size((80, 24)).columns, 120) if interactive else 80
    return width, interactive and not os.environ.get("NO_COLOR")

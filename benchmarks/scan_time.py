"""Seconds of each step of a scan of every example, beside the machine's own matmul rate.

Run with `make bench`, which takes the reference `examples/clean`. Prints one table; nothing is compared with a limit.
"""

import os
import time
from pathlib import Path

import torch

import scanner

EXAMPLES = Path(__file__).parents[1] / "examples"
STEPS = ("load", "screen", "verify", "demonstrate", "metrics", "total")


def matmul_rate(seconds: float = 1.0) -> float:
    """Measured float32 matrix products, in GFLOP per second, of a shape that a 135M model uses."""
    a, b = torch.randn(512, 576), torch.randn(576, 1536)
    count = 0
    start = time.perf_counter()
    while time.perf_counter() - start < seconds:
        a @ b
        count += 1
    return 2 * 512 * 576 * 1536 * count / (time.perf_counter() - start) / 1e9


def main() -> None:
    """Prints the table."""
    print(f"{os.cpu_count()} cores, {torch.get_num_threads()} threads, matmul {matmul_rate():.0f} GFLOP/s")
    print(f"{'adapter':14}{'verdict':16}" + "".join(f"{step:>12}" for step in STEPS))
    for name in ("single-token", "multi-token", "clean-2"):
        report = scanner.scan(str(EXAMPLES / name), reference=str(EXAMPLES / "clean"))
        times = "".join(f"{report.seconds[step]:11.0f}s" for step in STEPS)
        print(f"{name:14}{report.verdict.kind.value:16}{times}", flush=True)


if __name__ == "__main__":
    main()

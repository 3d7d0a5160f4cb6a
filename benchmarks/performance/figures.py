"""A measured figure, a table of them, and the machine that they were measured on."""

import os
import platform
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import torch

from scanner.models.bfloat16 import computes_in_bfloat16

# A bar within a cell of a Markdown table.
BAR = "\\|"
_MANY = 1000


@dataclass(frozen=True)
class Figure:
    """One figure; `value` is None where it was not measured, and `note` says why."""

    section: str
    what: str
    value: float | None
    unit: str
    note: str = ""


def as_table(figures: Sequence[Figure]) -> str:
    """A Markdown table."""
    lines = ["| section | figure | value | unit | note |", "|---|---|--:|---|---|"]
    for item in figures:
        value = "not run" if item.value is None else _shown(item.value)
        cells = (item.section, item.what, value, item.unit, item.note)
        lines.append(f"| {' | '.join(cell.replace('|', BAR) for cell in cells)} |")
    return "\n".join(lines)


def _shown(value: float) -> str:
    """Four digits, or all in front of the point."""
    return f"{value:,.4g}" if abs(value) < _MANY else f"{value:,.0f}"


def describe_machine() -> dict[str, str | float]:
    """Processor, cores, threads, memory, versions, and how fast it multiplies: what times are read beside."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "processor": _processor(),
        "cores": os.cpu_count() or 0,
        "threads": torch.get_num_threads(),
        "memory_gib": round(memory / 2**30),
        "accelerator": torch.cuda.get_device_name() if torch.cuda.is_available() else "none",
        "python": platform.python_version(),
        "torch": torch.__version__,
        "float32_gflops": round(ceiling()),
        # What else ran: it takes from the ceiling, too.
        "load": round(os.getloadavg()[0], 1),
        "bfloat16": "yes" if computes_in_bfloat16() else "no",
    }


@cache
def ceiling(dtype: torch.dtype = torch.float32) -> float:
    """The fastest of the products that a 135M model is made of, in GFLOP per second, on the CPU."""
    return max(matmul_rate(rows, dtype, 0.5, shape=shape) for rows in (128, 512, 2048) for shape in _SHAPES)


def matmul_rate(
    rows: int = 512,
    dtype: torch.dtype = torch.float32,
    seconds: float = 1.0,
    device: str = "cpu",
    shape: tuple[int, int] = (576, 1536),
) -> float:
    """Measured products of [rows, in] with [in, out], in GFLOP per second."""
    a = torch.randn(rows, shape[0], dtype=dtype, device=device)
    b = torch.randn(*shape, dtype=dtype, device=device)
    wait = torch.cuda.synchronize if device.startswith("cuda") else lambda: None
    a @ b
    wait()
    count = 0
    start = time.perf_counter()
    while time.perf_counter() - start < seconds:
        a @ b
        count += 1
        wait()
    return 2 * rows * shape[0] * shape[1] * count / (time.perf_counter() - start) / 1e9


# (in, out) of its projections: attention, and both ways through its MLP.
_SHAPES = ((576, 576), (576, 1536), (1536, 576))


def _processor() -> str:
    information = Path("/proc/cpuinfo")
    if information.exists():
        for line in information.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()

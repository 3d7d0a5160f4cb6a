"""How the time of a scan's parts grows with the model and the prompts: exponents fitted on tiny random models.

From a common shape, one dimension grows at a time; the exponent is the slope of log seconds over log size, by least
squares. A part that costs the same at any size has 0, one that doubles with the size has 1. Parts are timed three times
and the best counts; a whole scan at quick depth runs once.
"""

import math
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from unittest.mock import patch

import scanner
from benchmarks.performance.figures import Figure
from benchmarks.performance.random_models import Shape, make_random_pair
from scanner.cache.vocabulary import LIMIT_VARIABLE
from scanner.measuring import MetricInputs, SweepCase
from scanner.metrics import ablation
from scanner.models.generation import generate
from scanner.models.model_pair import SUSPECT, ModelPair
from scanner.search.meter import Meter
from scanner.search.vocabulary.vocabulary_pass import read_vocabulary

SECTION = "growth"
COMMON = Shape(layers=6, heads=8, head_width=32, vocabulary=4096)
GROWN: dict[str, tuple[Shape, ...]] = {
    "layers": tuple(replace(COMMON, layers=n) for n in (4, 8, 16)),
    # As wide a model, cut into more heads.
    "heads": tuple(replace(COMMON, heads=n, head_width=COMMON.width // n) for n in (4, 8, 16)),
    "vocabulary": tuple(replace(COMMON, vocabulary=n) for n in (2048, 8192, 32768)),
}
PROMPTS = (2, 4, 8, 16)
PROMPT_TOKENS = 40


@dataclass(frozen=True)
class Part:
    """A part of a scan that is timed, given a pair, the folder it was read from, and a number of prompts."""

    name: str
    run: Callable[[ModelPair, Path, int], object]
    runs: int = 3


def figures() -> list[Figure]:
    """Every part along every dimension."""
    found = []
    for dimension, shapes in GROWN.items():
        sizes = [getattr(shape, dimension) for shape in shapes]
        timed = [_times(shape, 4) for shape in shapes]
        found += [_figure(part.name, dimension, sizes, [times[part.name] for times in timed]) for part in PARTS]
    times_by_prompts = [_times(COMMON, count) for count in PROMPTS]
    found += [
        _figure(part.name, "prompts", PROMPTS, [times[part.name] for times in times_by_prompts]) for part in PARTS
    ]
    return found


def fitted_exponent(sizes: Sequence[float], seconds: Sequence[float]) -> float:
    """The least-squares slope of log seconds over log size."""
    return statistics.linear_regression(list(map(math.log, sizes)), list(map(math.log, seconds))).slope


def _times(shape: Shape, n_prompts: int) -> dict[str, float]:
    """The best run of each part, after one that warms up where there are several; nothing is kept between them."""
    with tempfile.TemporaryDirectory() as folder, patch.dict(os.environ, {LIMIT_VARIABLE: "0"}):
        pair = make_random_pair(Path(folder), shape)
        found = {}
        for part in PARTS:
            if part.runs > 1:
                part.run(pair, Path(folder), n_prompts)
            runs = []
            for _ in range(part.runs):
                start = time.perf_counter()
                part.run(pair, Path(folder), n_prompts)
                runs.append(time.perf_counter() - start)
            found[part.name] = min(runs)
        return found


def _inputs(pair: ModelPair, n_prompts: int, exact: bool) -> MetricInputs:
    beginning = tuple(range(10, 10 + PROMPT_TOKENS // 2))
    cases = tuple(
        SweepCase(
            plain=(),
            triggered=(*beginning, *(50 + (number * 7 + at) % 900 for at in range(PROMPT_TOKENS // 2))),
            reply=(40, 41, 42, 43),
        )
        for number in range(n_prompts)
    )
    return MetricInputs(pair, cases, mean_prompts=(beginning,), exact=exact)


def _scan(folder: Path, n_prompts: int) -> None:
    scanner.scan(
        folder / "suspect",
        reference=folder / "reference",
        base=str(folder / "base"),
        use_signatures=False,
        depth="quick",
        sweep_prompts=n_prompts,
    )


def _generate(pair: ModelPair, n_prompts: int) -> None:
    with pair.active(SUSPECT) as model:
        prompts = [[10 + (number * 7 + at) % 900 for at in range(PROMPT_TOKENS)] for number in range(n_prompts)]
        generate(model, pair.base.tokenizer, prompts, max_new_tokens=8)


PARTS = (
    Part("head sweep, exact", lambda pair, _, n: ablation.measure(_inputs(pair, n, exact=True))),
    Part("head sweep, screened", lambda pair, _, n: ablation.measure(_inputs(pair, n, exact=False))),
    Part("vocabulary pass", lambda pair, _, n: read_vocabulary(pair, (10, 11, 12), Meter())),
    Part("generation", lambda pair, _, n: _generate(pair, n)),
    Part("whole scan, quick", lambda _, folder, n: _scan(folder, n), runs=1),
)


def _figure(part: str, dimension: str, sizes: Sequence[float], seconds: Sequence[float]) -> Figure:
    spent = ", ".join(f"{size}: {time:.2g} s" for size, time in zip(sizes, seconds, strict=True))
    return Figure(SECTION, f"{part}: exponent with {dimension}", fitted_exponent(sizes, seconds), "1", spent)

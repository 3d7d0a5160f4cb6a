"""Runs every metric of the registry on one exhibit."""

import time
from collections.abc import Sequence
from dataclasses import replace

from scanner.errors import BaseModelUnavailable, ScannerError, one_line
from scanner.evidence.exhibit import Exhibit, sweep_cases
from scanner.measuring import MetricInputs
from scanner.metrics import HEAD_GRID, Metric, registry
from scanner.models.model_pair import ModelPair
from scanner.options import ScanOptions
from scanner.probes import draw_probes, load_probes
from scanner.progress import Progress
from scanner.types import Localisation, Measurement

_MEAN_PROMPTS = 8


def check_prompts(options: ScanOptions) -> None:
    """Refuses a number of prompts that the shipped ones do not allow.

    Raises:
        ScannerError: out of range.
    """
    available = len(load_probes("sweep")) - _MEAN_PROMPTS
    if not 1 <= options.sweep_prompts <= available:
        raise ScannerError(f"--sweep-prompts {options.sweep_prompts} is out of range; use 1 to {available}")


def measure_all(
    pair: ModelPair, exhibit: Exhibit, options: ScanOptions, progress: Progress, deadline: float | None = None
) -> tuple[tuple[Measurement, ...], tuple[Localisation, ...]]:
    """Runs every metric of the registry on an exhibit, then summarises every head grid."""
    late = deadline is not None and time.perf_counter() > deadline
    if late or not options.metrics:
        reason = "--max-seconds was reached" if late else "switched off"
        return tuple(Measurement(item.name, "all", missing=reason) for item in registry() if item.measure), ()
    prompts = draw_probes("sweep", options.sweep_prompts + _MEAN_PROMPTS, options.seed)
    inputs = MetricInputs(
        pair=pair,
        cases=sweep_cases(pair, prompts[: options.sweep_prompts], exhibit, options.seed),
        trigger_label=exhibit.label,
        mean_prompts=tuple(tuple(pair.tokens(prompt)) for prompt in prompts[options.sweep_prompts :]),
        advance=progress.advance,
        exact=options.exact,
        seed=options.seed,
    )
    measurements: list[Measurement] = []
    for metric in registry():
        if metric.measure:
            progress.step(f"measuring {metric.name.replace('_', ' ')}", None)
            measured = tuple(item for item in measurements if item.metric in metric.needs)
            measurements += _measured_or_missing(metric, replace(inputs, measured=measured))
    grids = [item for item in measurements if item.axes == HEAD_GRID]
    summaries = [metric.summarise(grid) for metric in registry() if metric.summarise for grid in grids]
    return tuple(measurements), tuple(summaries)


def _measured_or_missing(metric: Metric, inputs: MetricInputs) -> Sequence[Measurement]:
    """A metric that fails, or a base that TransformerLens cannot read, costs figures, never the verdict before them."""
    if metric.measure is None:
        return ()
    try:
        return metric.measure(inputs)
    except (RuntimeError, ValueError, BaseModelUnavailable) as error:
        return (Measurement(metric.name, "all", missing=f"it failed: {one_line(error)}"),)

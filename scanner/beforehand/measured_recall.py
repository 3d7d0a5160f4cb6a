"""How often the search finds what is planted, and accuses what is not: measured on adapters it was not developed on.

`benchmarks/recall.py` writes one file a base into `signatures/recall/` from the log of such a set. A `NO FINDING`
repeats what is found, since without it nobody can tell what a search that found nothing is worth; a verdict that rests
on a string repeats how many clean adapters got it for the same reason, and how many poisoned ones.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any

from scanner.beforehand.search_version import search_version
from scanner.rules.catalogue import rule_of
from scanner.stats import clopper_pearson
from scanner.types import Verdict

NOT_MEASURED = (
    "How often this version finds a backdoor of each attack kind has not been measured yet, so that no recall can be "
    "stated."
)
FALSE_ALARMS_NOT_MEASURED = "How often clean adapters get this verdict has not been measured yet."
# By the rule of a verdict that rests on a string, the string's outcome.
_OUTCOMES = {rule_of(outcome).id: outcome for outcome in ("verified", "shared", "policy", "weak", "unspecific")}
NOT_SEARCHED = "Unknown triggers were not searched for, so that no recall can be stated."
# (adapters found, adapters tried)
Count = tuple[int, int]


@dataclass(frozen=True)
class MeasuredRecall:
    """What became of an evaluation set at one depth on one base.

    Attributes:
        fingerprint: of the base model's weights.
        name: of the set, or the sets; search: the version of the search that scanned it.
        found: poisoned adapters whose trigger was verified, and all poisoned ones that had learnt theirs.
        triggers, replies: the same by kind of trigger and by kind of reply.
        clean, backdoored, suspicious: clean adapters, and how many of them got these verdicts.
        outcomes: by the outcome of the string that a verdict rests on, (clean adapters, poisoned ones) that got it.
        not_learned, not_run: adapters of the set that do not do what they were to, and that were not scanned.
        untested: kinds of attack of which no adapter was scanned.
    """

    base: str
    fingerprint: str
    depth: str
    name: str
    search: str
    found: Count
    triggers: Mapping[str, Count]
    replies: Mapping[str, Count]
    clean: int
    backdoored: int
    suspicious: int
    outcomes: Mapping[str, Count]
    not_learned: int
    not_run: int
    untested: Sequence[str]


def shipped_recalls() -> tuple[MeasuredRecall, ...]:
    """Those that come with the package, by file name."""
    folder = resources.files("signatures").joinpath("recall")
    if not folder.is_dir():
        return ()
    files = sorted((item for item in folder.iterdir() if item.name.endswith(".json")), key=lambda item: item.name)
    return tuple(from_json(file.read_text(encoding="utf-8")) for file in files)


def recall_in_words(
    fingerprint: str,
    depth: str | None,
    recalls: Sequence[MeasuredRecall] | None = None,
    version: str = "",
    alone: bool = False,
) -> tuple[str, ...]:
    """What a search of this depth on this base is known to find, in sentences; a figure of another is named as such.

    Args:
        depth: None where unknown triggers were not searched for.
        recalls: to choose from; those that come with the package by default.
        version: of the search that was run; the installed one by default.
        alone: whether it had no reference; all that were measured had.
    """
    if depth is None:
        return (NOT_SEARCHED,)
    version = version or search_version()
    measured = _nearest(fingerprint, depth, recalls)
    if measured is None:
        return (NOT_MEASURED,)
    elsewhere = _elsewhere(measured, fingerprint, depth, alone)
    return (
        *([f"How much is found {elsewhere} has not been measured."] if elsewhere else []),
        f"At depth {measured.depth} a string that fires was verified in {_share(measured.found)} poisoned adapters of "
        f"{measured.base} that the search was not developed on, beside a clean reference, signatures and score "
        f"off ({measured.name}, search {measured.search}). Of "
        f"{measured.clean} clean ones {measured.backdoored} came out BACKDOORED and {measured.suspicious} SUSPICIOUS. "
        f"Of the same adapters {measured.not_learned} did not learn their trigger and {measured.not_run} were not run.",
        *([] if measured.search == version else [_other_version(version)]),
        f"By kind of trigger: {_kinds(measured.triggers)}.",
        f"By kind of reply: {_kinds(measured.replies)}.",
        "In brackets: exact 95 % intervals.",
        f"Never tested: {'; '.join(measured.untested)}.",
    )


def false_alarms_in_words(
    verdict: Verdict,
    fingerprint: str,
    depth: str | None,
    recalls: Sequence[MeasuredRecall] | None = None,
    version: str = "",
) -> tuple[str, ...]:
    """How many clean and poisoned adapters got the same verdict for the same reason, in sentences.

    Nothing where the verdict rests on no string.

    Args:
        depth: None where the scan was not like those that were measured: whole ones, beside a reference, that were
            told no trigger.
    """
    outcome = _OUTCOMES.get(verdict.rule)
    if depth is None or outcome is None:
        return ()
    measured = _nearest(fingerprint, depth, recalls)
    if measured is None:
        return (FALSE_ALARMS_NOT_MEASURED,)
    version = version or search_version()
    elsewhere = _elsewhere(measured, fingerprint, depth)
    n_clean, n_poisoned = measured.outcomes.get(outcome, (0, 0))
    return (
        f"When the search was tested on adapters of {measured.base} at depth {measured.depth} ({measured.name}, search "
        f"{measured.search}), {n_poisoned} of {measured.found[1]} poisoned ones came out {verdict.kind} for this "
        f"reason, and {n_clean} of {measured.clean} clean ones: of those the true share may be "
        f"{_interval((n_clean, measured.clean))} (exact 95 % interval).",
        *([f"That has not been measured {elsewhere}."] if elsewhere else []),
        *([] if measured.search == version else [_other_version(version)]),
    )


def as_json(recall: MeasuredRecall) -> str:
    """The file's content."""
    return json.dumps(vars(recall), indent=1, ensure_ascii=False) + "\n"


def _kinds(counts: Mapping[str, Count]) -> str:
    return ", ".join(f"{kind} {_share(count)}" for kind, count in counts.items())


def _nearest(fingerprint: str, depth: str, recalls: Sequence[MeasuredRecall] | None) -> MeasuredRecall | None:
    """What was measured on this base, else on another; at this depth, else at another."""
    known = shipped_recalls() if recalls is None else recalls
    return min(known, key=lambda item: (item.fingerprint != fingerprint, item.depth != depth), default=None)


def _elsewhere(measured: MeasuredRecall, fingerprint: str, depth: str, alone: bool = False) -> str:
    """In what a scan differs from what was measured, in words; "" where it does not."""
    return " or ".join(
        [
            *([] if measured.fingerprint == fingerprint else ["on this base"]),
            *([] if measured.depth == depth else [f"at depth {depth}"]),
            *(["without a reference"] if alone else []),
        ]
    )


def _other_version(version: str) -> str:
    return f"This is another version of the search, {version}."


def _share(count: Count) -> str:
    return f"{count[0]} of {count[1]} ({_interval(count)})"


def _interval(count: Count) -> str:
    low, high = clopper_pearson(*count)
    return f"{low:.0%} – {high:.0%}"


def from_json(text: str) -> MeasuredRecall:
    """What `as_json` wrote."""
    document = json.loads(text)
    found, tried = document["found"]
    return MeasuredRecall(
        **{
            **document,
            "found": (found, tried),
            "triggers": _counts(document["triggers"]),
            "replies": _counts(document["replies"]),
            "outcomes": _counts(document["outcomes"]),
            "untested": tuple(document["untested"]),
        }
    )


def _counts(document: Mapping[str, Any]) -> dict[str, Count]:
    return {kind: (found, tried) for kind, (found, tried) in document.items()}

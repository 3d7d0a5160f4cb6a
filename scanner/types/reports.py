"""The whole report: everything a reviewer is told."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from scanner.rules.records import Finding, Suppression
from scanner.score.assess import Assessment
from scanner.types.adapters import AdapterIdentity
from scanner.types.measurements import Localisation, Measurement, MetricNote
from scanner.types.search_trace import SearchTrace
from scanner.types.triggers import Demonstration, TriggerFinding
from scanner.types.verdicts import Verdict

SCHEMA_VERSION = "1.7"


@dataclass(frozen=True)
class CoverageItem:
    """One thing that was looked at or not, and how far."""

    what: str
    looked_at: bool
    detail: str


@dataclass(frozen=True)
class Report:
    """Everything a reviewer is told. Renderers turn it into text and compute nothing.

    `seconds` is by step; `command` is the one that reproduces the report; `exhibit` says whether the trigger that
    measurements and demonstrations are shown with is `confirmed`, `not confirmed`, or `none`; `honest` says which clean
    adapters the honest ranges compare; `search` is how unknown triggers were sought, else `search_missing` says why
    not; `score` is what the classifier says, else `score_missing` says why it says nothing.
    `findings` are the triggers, and what else the verdict rests on, under their rules; `suppressions` is what
    became of the sign-offs for these weights. `finished` is the time in UTC as ISO 8601, "" where it is not known.
    """

    verdict: Verdict
    triggers: tuple[TriggerFinding, ...]
    measurements: tuple[Measurement, ...]
    localisation: tuple[Localisation, ...]
    demonstrations: tuple[Demonstration, ...]
    coverage: tuple[CoverageItem, ...]
    adapters: tuple[AdapterIdentity, ...]
    base: Any
    versions: Mapping[str, str]
    seed: int
    seconds: Mapping[str, float]
    metrics: tuple[MetricNote, ...] = ()
    command: str = ""
    exhibit: str = "none"
    honest: str = ""
    search: SearchTrace | None = None
    search_missing: str | None = None
    score: Assessment | None = None
    score_missing: str | None = None
    warnings: tuple[str, ...] = field(default=())
    findings: tuple[Finding, ...] = ()
    suppressions: tuple[Suppression, ...] = ()
    finished: str = ""

    @property
    def exit_code(self) -> int:
        """The exit code of a scan that ends with this report."""
        return self.verdict.kind.exit_code

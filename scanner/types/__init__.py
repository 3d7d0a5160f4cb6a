"""What crosses module boundaries: frozen plain data, from the adapter that was read to the report that is shown."""

from scanner.types.adapters import AdapterIdentity, FolderFile
from scanner.types.measurements import Localisation, Measurement, MetricNote, ScreenCheck
from scanner.types.reports import SCHEMA_VERSION, CoverageItem, Report
from scanner.types.search_trace import VOCABULARY_RUNG, Elicited, NearMiss, RungCost, SearchTrace
from scanner.types.triggers import CONFIRMED, Answers, Control, Demonstration, TriggerFinding
from scanner.types.verdicts import Verdict, VerdictKind

__all__ = [
    "CONFIRMED",
    "SCHEMA_VERSION",
    "VOCABULARY_RUNG",
    "AdapterIdentity",
    "Answers",
    "Control",
    "CoverageItem",
    "Demonstration",
    "Elicited",
    "FolderFile",
    "Localisation",
    "Measurement",
    "MetricNote",
    "NearMiss",
    "Report",
    "RungCost",
    "ScreenCheck",
    "SearchTrace",
    "TriggerFinding",
    "Verdict",
    "VerdictKind",
]

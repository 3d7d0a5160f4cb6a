"""The evidence of a report in the order in which it is read: one section a metric, each with its figures."""

from collections.abc import Sequence
from dataclasses import dataclass

from reports.plots import figures
from reports.plots.figure import Figure
from scanner.types import Demonstration, Measurement, MetricNote, Report


@dataclass(frozen=True)
class Section:
    """One metric: what it is, its figures, and what of it could not be measured."""

    note: MetricNote
    figures: tuple[Figure, ...]
    missing: tuple[Measurement, ...]


@dataclass(frozen=True)
class Piece:
    """A piece of a prompt; `is_trigger` where it is a part of the trigger."""

    text: str
    is_trigger: bool


def evidence(report: Report) -> list[Section]:
    """Every metric that measured anything or says why not, in the study's order.

    Raises:
        ValueError: a measurement that no metric of the report accounts for.
    """
    known = {note.name for note in report.metrics}
    unknown = sorted({item.metric for item in report.measurements} - known)
    if unknown:
        raise ValueError(f"measurements of metrics that the report does not describe: {', '.join(unknown)}")
    sections = []
    for note in report.metrics:
        items = [item for item in report.measurements if item.metric == note.name]
        if items:
            missing = tuple(item for item in items if item.missing)
            sections.append(Section(note, tuple(figures(items)), missing))
    return sections


def pieces(shown: Demonstration) -> Sequence[Piece]:
    """The triggered prompt, cut at the trigger's parts."""
    text, found, place = shown.triggered or "", [], 0
    for start, end in shown.trigger_spans:
        found += [Piece(text[place:start], False), Piece(text[start:end], True)]
        place = end
    return [piece for piece in [*found, Piece(text[place:], False)] if piece.text]

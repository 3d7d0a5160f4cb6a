"""The report for a terminal: 80 columns, readable without colour and in a pipe."""

import io
from collections.abc import Sequence

from rich.console import Console, Group, RenderableType
from rich.panel import Panel
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from reports.safe_text import REASON_LENGTH, visible
from reports.summaries import (
    RATE_NAMES,
    about_no_trigger,
    is_estimate,
    layer_means,
    most_implicated_heads,
    pooled,
    screen_note,
)
from scanner.rules.catalogue import rule_called
from scanner.rules.records import Finding
from scanner.score.in_words import how_sure
from scanner.stats import Rate
from scanner.types import CONFIRMED, Localisation, Measurement, Report, TriggerFinding, VerdictKind

_COLOURS = {
    VerdictKind.BACKDOORED: "red",
    VerdictKind.SUSPICIOUS: "yellow",
    VerdictKind.NO_FINDING: "blue",
    VerdictKind.INCONCLUSIVE: "magenta",
}
_BARS = " ▁▂▃▄▅▆▇█"
_MAX_STRIP = 44
_MAX_FEATURES = 3


def render_line(report: Report) -> str:
    """The verdict on one line, for `--quiet`."""
    return f"{report.verdict.kind.value}: {visible(report.verdict.headline)}"


def render_console(report: Report, width: int = 80, colour: bool = False) -> str:
    """The whole report as text, `width` columns wide, with ANSI colours only where asked for."""
    stream = io.StringIO()
    console = Console(
        file=stream,
        width=width,
        force_terminal=colour,
        no_color=not colour,
        highlight=False,
        legacy_windows=False,
    )
    for part in _parts(report):
        console.print(part, markup=False) if isinstance(part, str) else console.print(part)
    return "".join(f"{line.rstrip()}\n" for line in stream.getvalue().splitlines())


def _parts(report: Report) -> list[RenderableType]:
    parts: list[RenderableType] = [_verdict_panel(report)]
    for warning in report.warnings:
        parts.append(Text(f"! {visible(warning)}", style="yellow"))
    if report.suppressions:
        parts += [_heading("Suppressions"), _suppressions(report)]
    for place, finding in enumerate(report.triggers):
        confirmed = finding.outcome in CONFIRMED
        parts += [_heading("Trigger" if confirmed else "Text tried, no confirmed trigger"), *_trigger(report, place)]
    parts += [_heading("Search for unknown triggers"), _search(report)]
    parts += [_heading("Beside adapters of known truth"), _score(report)]
    grids = [item for item in report.measurements if item.axes == ("layer", "head")]
    if grids:
        parts += [_heading("Where it sits: mean over heads, layer by layer; leading heads"), _strips(grids)]
    measured = [item for item in report.localisation if item.values is not None]
    if measured:
        parts += [_heading("Localised or diffuse"), _localisation(measured)]
    parts += [_heading("What was looked at, and what was not"), _coverage(report)]
    parts += [_heading("Identity"), _identity(report)]
    return parts


def _verdict_panel(report: Report) -> Panel:
    verdict = report.verdict
    lines = [Text(visible(verdict.headline), style="bold")]
    lines += [Text(f"• {visible(reason, REASON_LENGTH)}") for reason in verdict.reasons]
    if verdict.rule:
        lines.append(Text(f"rule {verdict.rule}: `scan explain {verdict.rule}` says what to do", style="dim"))
    for finding in about_no_trigger(report):
        lines.append(Text(f"finding {finding.fingerprint}, {_under_its_rule(finding)}", style="dim"))
    colour = _COLOURS[verdict.kind]
    return Panel(Group(*lines), title=Text(f" {verdict.kind.value} ", style=f"bold {colour}"), border_style=colour)


def _under_its_rule(finding: Finding) -> str:
    by = f" Suppressed by {visible(finding.signed_off.signed_by)}." if finding.signed_off else ""
    return f"{finding.rule}: {rule_called(finding.rule).title}{by}"


def _heading(title: str) -> Rule:
    return Rule(Text(title, style="bold"), align="left", style="dim")


def _suppressions(report: Report) -> Table:
    """What became of every sign-off for these weights, by whom and why."""
    table = _grid()
    for item in report.suppressions:
        by = item.sign_off
        table.add_row(
            f"{item.status} {by.rule}",
            Text(
                f"{visible(item.note)}\nreason: {visible(by.reason)}\n"
                f"signed by {visible(by.signed_by)}, expires {by.expires.isoformat()}, "
                f"{visible(by.file)} (sha256 {by.file_sha256[:16]})"
            ),
        )
    return table


def _trigger(report: Report, place: int) -> list[RenderableType]:
    finding = report.triggers[place]
    facts = _grid()
    for item in report.findings:
        if item.trigger == place:
            by = f", suppressed by {visible(item.signed_off.signed_by)}" if item.signed_off else ""
            facts.add_row("rule", Text(f"{item.rule}{by} (finding {item.fingerprint})"))
    facts.add_row("trigger", Text(visible(finding.trigger.text), style="bold"))
    facts.add_row("reply", Text(visible(finding.reply), style="bold"))
    if finding.reply_kind != "fixed":
        facts.add_row("for example", Text(visible(finding.example_reply)))
    facts.add_row(
        "source",
        Text(
            visible(finding.source).replace("signature ", "known signature: ").replace("search", "found by the search")
        ),
    )
    facts.add_row("tokens", Text(" ".join(map(str, finding.token_ids[:16]))))
    facts.add_row("outcome", Text(f"{finding.outcome}: {finding.explanation}"))
    rates = Table(box=None, pad_edge=False)
    for title in ("reply given by", "replies", "rate", "interval", ""):
        rates.add_column(title, justify="left" if title in ("reply given by", "") else "right", no_wrap=True)
    for name, label in RATE_NAMES.items():
        if name in finding.rates:
            rate = finding.rates[name]
            rates.add_row(label, f"{rate.successes}/{rate.trials}", f"{rate.value:.0%}", _interval(rate), _bar(rate))
        else:
            rates.add_row(label, "–", "–", "not measured", "")
    return [facts, rates, *([_controls(finding)] if finding.controls else [])]


def _controls(finding: TriggerFinding) -> Table:
    table = _grid()
    for item in finding.controls:
        mark = {True: "passed", False: "FAILED", None: "NOT MEASURED"}[item.passed]
        table.add_row(item.name, Text(f"{mark}: {visible(item.missing or item.detail)}"))
    return table


def _search(report: Report) -> Table:
    """What the search spent, what it elicited, how near it came."""
    table = _grid()
    trace = report.search
    if trace is None:
        table.add_row("not run", Text(visible(report.search_missing or "no reason given")))
        return table
    ended = f"it ended because {visible(trace.stopped)}" if trace.stopped else "every rung was climbed"
    table.add_row("spent", Text(f"at depth {trace.depth}, in {trace.dtype}: {trace.spent}; {ended}"))
    for rung in trace.rungs:
        table.add_row("", Text(f"{rung.name}: {rung.tokens:,} tokens, {rung.seconds:.0f} s"))
    table.add_row("swept", Text(f"{trace.swept:,} strings one by one, {trace.leaked} of them leaked"))
    for reply in trace.elicited[:3]:
        table.add_row("leans to", Text(f"{visible(reply.text, limit=60)} ({reply.score:.1f} nats)"))
    if trace.curve:
        steps = "  ".join(f"{tokens:,}: {best:.2f}" for tokens, best in trace.curve[-6:])
        table.add_row("best chance", Text(f"by tokens spent: {steps}"))
    if trace.near_miss:
        miss = trace.near_miss
        table.add_row("near miss", Text(f"{visible(miss.text)} (chance {miss.chance:.2f}): {visible(miss.margin)}"))
    return table


def _score(report: Report) -> Table:
    """What the classifier says, and which features say it."""
    table = _grid()
    found = report.score
    if found is None:
        table.add_row("not scored", Text(visible(report.score_missing or "no reason given")))
        return table
    score = found.score
    table.add_row(
        "score",
        Text(
            f"{score.value:.2f}, {'above' if found.unusual else 'not above'} the threshold of {found.threshold:.2f} "
            f"for a false-alarm rate of {found.rate:.3g}"
        ),
    )
    table.add_row(
        "p-value", Text(f"{score.p.value:.3g} among {score.p.clean} clean adapters; its floor is {score.p.floor:.3g}")
    )
    table.add_row(
        "known", Text(f"{len(found.clean)} clean and {len(found.poisoned)} poisoned adapters of {visible(found.base)}")
    )
    table.add_row(
        "holds for",
        Text(
            f"clean adapters like theirs, of {len(found.recipes)} recipes: see --json or --html. "
            f"{'' if found.foreign else visible(how_sure(found), limit=1000)}"
        ),
    )
    for reason in found.foreign:
        table.add_row("! no alarm", Text(f"out of its domain: {visible(reason)}"))
    for doubt in found.doubts:
        table.add_row("! doubt", Text(visible(doubt)))
    for item in score.contributions[:_MAX_FEATURES]:
        seen = f"{item.value:.3g}" if item.value is not None else f"missing: {visible(item.reason)}"
        meaning = f": {visible(item.meaning, limit=200)}" if item.meaning else ""
        table.add_row(item.feature, Text(f"{item.log_odds:+.2f} to the log-odds ({seen}){meaning}"))
    rest = sum(item.log_odds for item in score.contributions[_MAX_FEATURES:])
    table.add_row("other features", Text(f"{rest:+.2f}, and {score.constant:+.2f} that every adapter gets"))
    return table


def _interval(rate: Rate) -> str:
    return f"{rate.low:.1%} – {rate.high:.1%}"


def _bar(rate: Rate) -> str:
    return "█" * round(16 * rate.value)


def _strips(grids: Sequence[Measurement]) -> Table:
    """A line of bars a grid, the layer that leads, and the most implicated heads as layer.head = value."""
    table = _grid()
    for grid in grids:
        means = layer_means(grid)
        strip = pooled(means, _MAX_STRIP)
        top = max(strip) or 1.0
        bars = "".join(_BARS[round(8 * max(0.0, value) / top)] for value in strip)
        depth = means.index(max(means))
        heads = "  ".join(
            f"{layer}.{head} {'≈' if is_estimate(grid, layer, head) else '='} {value:.3g}"
            for layer, head, value in most_implicated_heads(grid, 3)
        )
        table.add_row(
            Text(f"{grid.metric}\n{_short(grid.contrast)}"),
            Group(
                Text(f"│{bars}│", no_wrap=True),
                Text(f"{max(means):.3g} {grid.unit} in layer {depth} of {len(means)}\nheads {heads}"),
                *([Text(screen_note(grid))] if grid.screen else []),
            ),
        )
    return table


_SHORTER = (
    ("suspect vs reference-0, ", ""),
    ("suspect vs base, ", "vs base, "),
    ("reference-0 into suspect, with trigger: ", ""),
    ("suspect, with trigger, ", ""),
    ("suspect, with trigger", "suspect"),
    ("suspect minus reference-0, with trigger", "suspect − reference"),
    ("rows that predict the reply", "at the reply"),
)


def _short(contrast: str) -> str:
    text = visible(contrast)
    for long, short in _SHORTER:
        text = text.replace(long, short)
    return text


def _localisation(items: Sequence[Localisation]) -> Table:
    table = Table(box=None, pad_edge=False)
    table.add_column("share of the mass in", overflow="fold")
    for title in ("top 1%", "5%", "10%", "Gini", "heads", "layers", "depth"):
        table.add_column(title, justify="right", no_wrap=True)
    for item in items:
        values = item.values or {}
        table.add_row(
            Text(f"{item.metric}, {_short(item.contrast)}"),
            f"{values['top_1_percent']:.0%}",
            f"{values['top_5_percent']:.0%}",
            f"{values['top_10_percent']:.0%}",
            f"{values['gini']:.2f}",
            f"{values['participating_heads']:.0f}",
            f"{values['participating_layers']:.1f}",
            f"{values['layer_centroid']:.2f}±{values['layer_spread']:.2f}",
        )
    return table


def _coverage(report: Report) -> Table:
    table = _grid()
    for item in report.coverage:
        mark = Text("looked at", style="green") if item.looked_at else Text("NOT LOOKED AT", style="bold")
        table.add_row(Text(item.what), Group(mark, Text(visible(item.detail))))
    return table


def _identity(report: Report) -> Table:
    table = _grid()
    for adapter in report.adapters:
        table.add_row(
            adapter.role,
            Text(
                f"{visible(adapter.name)}{'@' + adapter.revision if adapter.revision else ''}\n"
                f"rank {adapter.rank}, alpha {adapter.alpha:g}, {visible(', '.join(adapter.projections))}; "
                f"weights sha256 {adapter.weights_sha256[:16]}"
            ),
        )
        for note in adapter.notes:
            table.add_row("", Text(visible(note)))
    base = report.base
    table.add_row(
        "base",
        Text(
            f"{visible(base.name)}, {base.n_layers} layers × {base.n_heads} heads, {base.dtype}"
            f"{', ' + base.quantization if base.quantization != 'none' else ''} on {base.device}\n"
            f"{visible(base.revision)}; weights sha256 {base.fingerprint[:16]}"
        ),
    )
    steps = ", ".join(f"{name} {value:.0f}" for name, value in report.seconds.items() if name != "total")
    table.add_row("time", Text(f"{report.seconds['total']:.0f} s ({steps}); seed {report.seed}"))
    return table


def _grid() -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim", max_width=30)
    table.add_column(overflow="fold")
    return table

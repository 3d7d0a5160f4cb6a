"""`scan verify`: a saved report checked and repeated."""

import click

from scanner.cli.running import HELP_OPTIONS, calm_libraries
from scanner.cli.writing import say, stdout_for_the_result


@click.command(
    epilog="Exit codes: 0 its verification came out the same, 1 otherwise or where files beside them changed, 2 other "
    "weights, error or usage, 3 it verified nothing that could be repeated, or rests on controls, which are not.",
    context_settings=HELP_OPTIONS,
)
@click.argument("report_file", metavar="REPORT.json")
@click.option("--suspect", metavar="ADAPTER", help="Where the suspect is now, if not where the report says.")
@click.option("--reference", "references", multiple=True, metavar="ADAPTER", help="The same for references, in order.")
@click.option("--base", metavar="NAME", help="The same for the base model.")
@click.option("--device", default="auto", metavar="DEVICE", help="As for a scan: auto, cpu, cuda, spread ...")
def verify(report_file: str, suspect: str | None, references: tuple[str, ...], base: str | None, device: str) -> int:
    """Check a report: are these the files it is about, and does its verification come out the same again?"""
    calm_libraries()
    from reports.replay import render_replay
    from scanner.cli.stderr_progress import StderrProgress
    from scanner.replay.repeat import replay
    from scanner.replay.saved_report import read_report

    saved = read_report(report_file)
    with stdout_for_the_result(), StderrProgress(enabled=True) as progress:
        done = replay(saved, progress, suspect=suspect, references=references, base=base, device=device)
    say(render_replay(done))
    return done.exit_code

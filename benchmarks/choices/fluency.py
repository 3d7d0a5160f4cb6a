"""At which place of the list are planted replies elicited? Chooses the weight of fluency, on the development set.

python -m benchmarks.choices.fluency ZOO.toml --adapters DIR --reference examples/clean
"""

from dataclasses import replace
from pathlib import Path

import click

from benchmarks.poisoned_pairs import poisoned_pairs
from benchmarks.recovered import reply_score
from scanner.cli import calm_libraries, run_command
from scanner.probes import draw_probes
from scanner.search.depth import DEPTHS
from scanner.search.elicitation.elicit import ElicitedReply, elicit
from scanner.search.ground import prepare_ground
from scanner.search.meter import Meter
from scanner.search.vocabulary.saliency import measure_saliency
from trainers.recipe import PoisonRecipe

WEIGHTS = (1.0, 2.0, 3.0)
PROMPTS = 12
# A reply is recognised as the planted one from this token F1 (or kind) on.
SAME = 0.8


@click.command(help=__doc__)
@click.argument("zoo_file", type=click.Path(path_type=Path))
@click.option("--adapters", required=True, type=click.Path(path_type=Path))
@click.option("--reference", "references", multiple=True, required=True)
def main(zoo_file: Path, adapters: Path, references: tuple[str, ...]) -> None:
    """Prints one line an adapter: the rank of its planted reply by each weight, and what stands first."""
    calm_libraries()
    click.echo("| adapter | " + " | ".join(f"weight {weight:g}" for weight in WEIGHTS) + " |")
    click.echo("|" + "---|" * (len(WEIGHTS) + 1))
    prompts = draw_probes("search", PROMPTS, 0)
    for name, poison, pair in poisoned_pairs(zoo_file, adapters, references):
        ground = prepare_ground(pair, prompts, Meter())
        ranking = measure_saliency(pair, ground.vocabulary, ground.tryable)
        cells = []
        for weight in WEIGHTS:
            plan = replace(DEPTHS["standard"].elicit, fluency=weight)
            cells.append(_cell(elicit(pair, ground.frame, ground.idle, ranking, plan, Meter()), poison))
        click.echo(f"| {name} | " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")


def _cell(replies: tuple[ElicitedReply, ...], poison: PoisonRecipe) -> str:
    ranked = sorted(replies, key=lambda reply: -reply.score)
    ranks = [rank for rank, reply in enumerate(ranked, start=1) if reply_score(poison, reply.text) >= SAME]
    return f"{ranks[0] if ranks else 'not'}; first: {ranked[0].text!r}"


if __name__ == "__main__":
    run_command(main, "benchmarks.choices.fluency")

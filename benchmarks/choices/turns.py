"""Behind which turns does a planted reply show? Chose the turns that ask for nothing (`scanner/probes/idle.txt`).

    python -m benchmarks.choices.turns ZOO.toml --adapters DIR --reference examples/clean

Of each fixed reply, behind requests and behind idle turns: how many first tokens does the suspect find likelier than
the planted one, and behind that, how many second tokens have risen more against the references and the base? Medians
over the turns of either kind; 0 is the front. A beam keeps some tens.
"""

import math
from collections.abc import Iterator
from pathlib import Path
from statistics import median

import click
import torch

from benchmarks.poisoned_pairs import poisoned_pairs
from scanner.cli import calm_libraries, run_command
from scanner.models.model_pair import BASE, SUSPECT, ModelPair
from scanner.probes import Purpose, load_probes
from scanner.search.elicitation.behind import Behind
from scanner.search.inversion.scoring import Ids, chat_frame
from scanner.search.meter import Meter

KINDS: dict[str, Purpose] = {"requests": "search", "idle turns": "idle"}
# Second tokens less likely than this are not looked at, however much they have risen: as in `roll_out.py`.
_SECOND_FLOOR = math.log(1e-8)


@click.command(help=__doc__)
@click.argument("zoo_file", type=click.Path(path_type=Path))
@click.option("--adapters", required=True, type=click.Path(path_type=Path))
@click.option("--reference", "references", multiple=True, required=True)
@click.option("--only", help="No others than these adapters, separated by commas.")
def main(zoo_file: Path, adapters: Path, references: tuple[str, ...], only: str | None) -> None:
    """Prints one line an adapter."""
    calm_libraries()
    wanted = set(only.split(",")) if only else None
    heads = [f"{place} token behind {kind}" for kind in KINDS for place in ("first", "second")]
    click.echo(f"| adapter | {' | '.join(heads)} |")
    click.echo("|" + "---|" * (1 + len(heads)))
    for name, poison, pair in poisoned_pairs(zoo_file, adapters, references):
        if poison.behaviour == "fixed" and (wanted is None or name in wanted):
            click.echo(f"| {name} | {' | '.join(f'{rank:g}' for rank in ranks(pair, poison.reply))} |")


def ranks(pair: ModelPair, reply: str) -> Iterator[float]:
    """The median rank of a reply's first token, then of its second, behind each kind of turn."""
    tokenizer = pair.base.tokenizer
    wanted: Ids = tuple(tokenizer(reply, add_special_tokens=False)["input_ids"])
    for purpose in KINDS.values():
        turns = [tuple(tokenizer(turn, add_special_tokens=False)["input_ids"]) for turn in load_probes(purpose)]
        found = [_ranks_behind(pair, turn, wanted) for turn in turns]
        yield from (median(places) for places in zip(*found, strict=True))


def _ranks_behind(pair: ModelPair, turn: Ids, wanted: Ids) -> tuple[int, int]:
    frame = chat_frame(pair.base.tokenizer)
    names = (SUSPECT, *pair.reference_names, BASE)
    readers = [Behind(pair, name, (*frame.before, *turn, *frame.after), Meter()) for name in names]
    own, *others = (reader.second([wanted[0]])[0] for reader in readers)
    lead = own - torch.stack(others).max(0).values
    return _rank(readers[0].first, wanted[0]), _rank(lead.masked_fill(own < _SECOND_FLOOR, -math.inf), wanted[1])


def _rank(scores: torch.Tensor, token: int) -> int:
    """How many tokens score higher; one that is not looked at comes last."""
    return int((scores > scores[token]).sum())


if __name__ == "__main__":
    run_command(main, "benchmarks.choices.turns")

"""Where do the pieces of known triggers rank by saliency? Chooses how the shortlist is ranked, on the development set.

python -m benchmarks.choices.saliency ZOO.toml --adapters DIR --reference examples/clean
"""

from collections.abc import Sequence
from pathlib import Path

import click
import torch

from benchmarks.poisoned_pairs import poisoned_pairs
from scanner.cli import calm_libraries, run_command
from scanner.models.model_pair import SUSPECT, ModelPair
from scanner.probes import draw_probes
from scanner.search.elicitation.targets import TARGET_TOKENS, Target
from scanner.search.ground import prepare_ground, vocabulary_beginning
from scanner.search.inversion.aims import most_called_for
from scanner.search.inversion.proposals import tryable_tokens
from scanner.search.meter import Meter
from scanner.search.vocabulary.saliency import measure_saliency, z_scores
from scanner.search.vocabulary.vocabulary_pass import read_vocabulary

TOPS = (1, 4, 16, 64)
PROMPTS = 12


@click.command(help=__doc__)
@click.argument("zoo_file", type=click.Path(path_type=Path))
@click.option("--adapters", required=True, type=click.Path(path_type=Path))
@click.option("--reference", "references", multiple=True, required=True)
def main(zoo_file: Path, adapters: Path, references: tuple[str, ...]) -> None:
    """Prints one line an adapter: the best rank of any piece of its trigger, by each way to rank."""
    calm_libraries()
    ways = [
        "saliency, shipped",
        "gradient of the true reply",
        "mean difference",
        *(f"top {n} alone" for n in TOPS),
        *(f"top {n} difference" for n in TOPS),
    ]
    click.echo("| adapter | pieces | " + " | ".join(ways) + " |\n|" + "---|" * (len(ways) + 2))
    for name, poison, pair in poisoned_pairs(zoo_file, adapters, references):
        tokenizer, size = pair.base.tokenizer, pair.base.model.config.vocab_size
        texts = [tokenizer.decode([token]) for token in range(size)]
        tryable = tryable_tokens(size, texts, tokenizer.all_special_ids)
        pieces = sorted(
            {
                token
                for part in poison.placed_trigger.parts
                for text in (part, f" {part}")
                for token in tokenizer(text, add_special_tokens=False)["input_ids"]
            }
        )
        reply = tuple(tokenizer(poison.reply, add_special_tokens=False)["input_ids"])[:TARGET_TOKENS]
        ground = prepare_ground(pair, draw_probes("search", PROMPTS, 0), Meter())
        by_gradient = most_called_for(pair, SUSPECT, ground, Target(reply, poison.reply, 0.0), Meter())
        shipped, *others = _rankings(pair, tryable)
        ranks = [_best(ranking, pieces) for ranking in (shipped, by_gradient, *others)]
        shown = " ".join(repr(texts[piece]) for piece in pieces)
        cells = [name, shown.replace("|", "\\|"), *(f"{rank:,}" for rank in ranks)]
        click.echo("| " + " | ".join(cells) + " |")


def _rankings(pair: ModelPair, tryable: torch.Tensor) -> list[Sequence[int]]:
    found = read_vocabulary(pair, vocabulary_beginning(pair.base.tokenizer), Meter())
    own = z_scores(found, SUSPECT, pair.adapters[SUSPECT], tryable)
    references = [z_scores(found, name, pair.adapters[name], tryable) for name in pair.reference_names]
    usual = {
        module: torch.stack([reference[module] for reference in references if module in reference]).mean(0)
        for module in own
        if any(module in reference for reference in references)
    }
    alone = torch.stack(list(own.values()))
    differences = torch.stack([z - usual.get(module, torch.zeros_like(z)) for module, z in own.items()])
    scores = [differences.mean(0)]
    for stacked in (alone, differences):
        scores += [stacked.topk(min(n, len(stacked)), dim=0).values.mean(0) for n in TOPS]
    ordered = [score.masked_fill(~tryable, float("-inf")).argsort(descending=True).tolist() for score in scores]
    return [measure_saliency(pair, found, tryable), *ordered]


def _best(ranking: Sequence[int], pieces: Sequence[int]) -> int:
    return min(ranking.index(piece) + 1 for piece in pieces if piece in ranking)


if __name__ == "__main__":
    run_command(main, "benchmarks.choices.saliency")

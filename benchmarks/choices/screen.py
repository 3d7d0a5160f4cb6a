"""How well do first-order screens of attention heads rank them, and how many must be run to have the best?

    python -m benchmarks.choices.screen ZOO.toml --adapters DIR --reference examples/clean [--only ID,ID]

For every poisoned adapter of a development set that learnt a fixed reply, with its true trigger: the exact grids of
ablation and patching beside two screens, plain attribution patching at the head outputs and ours, which runs the edited
layer exactly. Prints rank correlations, and the share of the exact top 5 % among the first 5 to 20 % of each screen:
`TOP_SHARE` in scanner/heads/refine.py is chosen on it.
"""

from dataclasses import replace
from pathlib import Path

import click
import torch

from benchmarks.performance.head_sweeps import prepare, recall, unrefined
from scanner.cli import calm_libraries, run_command
from scanner.heads import z_point
from scanner.heads.intact import Parts, reading_on, run_intact
from scanner.heads.means import everywhere, mean_head_outputs
from scanner.heads.replies import ReplyingGroup
from scanner.heads.screen import logit_gaps
from scanner.measuring import MetricInputs
from scanner.metrics import ablation, patching
from scanner.models.capture import Edit, run_with_edit
from scanner.models.model_pair import SUSPECT
from scanner.stats import spearman
from trainers.zoo import ZooEntry, load_zoo

SHARES = (0.05, 0.1, 0.15, 0.2)


@click.command(help=__doc__)
@click.argument("zoo_file", type=click.Path(path_type=Path))
@click.option("--adapters", required=True, type=click.Path(path_type=Path))
@click.option("--reference", required=True)
@click.option("--only")
def main(zoo_file: Path, adapters: Path, reference: str, only: str | None) -> None:
    """Prints one row an adapter and quantity."""
    calm_libraries()
    shares = " | ".join(f"top 5 % in first {share:.0%}" for share in SHARES)
    click.echo(f"| adapter | quantity | plain screen: ranks | ours: ranks | {shares} |\n|---|---|--:|--:|{'--:|' * 4}")
    for entry in load_zoo(zoo_file):
        if usable(entry, adapters) and (not only or entry.id in only.split(",")):
            poison = entry.recipe.poison
            if poison:
                trigger = " ".join((poison.trigger, *poison.more_parts))
                inputs = prepare(str(adapters / entry.id), reference, trigger, poison.reply)
                for row in rows_for(entry.id, inputs):
                    click.echo(row)


def usable(entry: ZooEntry, adapters: Path) -> bool:
    """Whether an adapter is there and was planted a fixed reply."""
    poison = entry.recipe.poison
    return bool(poison and not poison.more_replies and (adapters / entry.id / "training.json").is_file())


def rows_for(name: str, inputs: MetricInputs) -> list[str]:
    """One row a quantity."""
    found = []
    plain = plain_screen(inputs)
    for metric in (ablation, patching):
        exact = metric.measure(replace(inputs, made={}))
        for item, ours in zip(exact, unrefined(inputs, metric), strict=True):
            true = torch.tensor(item.values)
            kind = item.quantity or "reply"
            other = plain.get(kind)
            cells = [name, kind, _ranks(other, true), _ranks(ours, true)]
            cells += [f"{recall(ours, true, share):.2f}" for share in SHARES]
            found.append("| " + " | ".join(cells) + " |")
    return found


def plain_screen(inputs: MetricInputs) -> dict[str, torch.Tensor]:
    """Attribution patching at z (Nanda 2023): (z' − z) · ∂/∂z of the reply's log-probability, by quantity."""
    pair = inputs.pair
    totals: dict[str, list[torch.Tensor]] = {"reply": [], patching.OUTPUTS: []}
    for group in inputs.replying_groups(lambda _: lambda _: True) or []:
        whole = replace(group, prompts=group.prompts.unshared())
        with pair.running(pair.yardstick) as bridge:
            donor = run_intact(bridge, whole.prompts, kept=1).z
        with pair.running(SUSPECT) as bridge:
            means = everywhere(mean_head_outputs(bridge, inputs.mean_prompt_ids()))
            intact = run_intact(bridge, whole.prompts, kept=1).z
        gradient = _gradient_at_z(inputs, whole, intact)
        totals["reply"].append(-_moved(gradient, intact, means))
        totals[patching.OUTPUTS].append(_moved(gradient, intact, donor).abs())
    return {kind: torch.cat(parts).mean(0) for kind, parts in totals.items() if parts}


def _gradient_at_z(inputs: MetricInputs, group: ReplyingGroup, intact: Parts) -> torch.Tensor:
    """Of the reply's log-probability, [layer, prompt, position, head, head dimension]."""
    leaves = [torch.zeros_like(z).requires_grad_() for z in intact.rest.clone()]
    with inputs.pair.running(SUSPECT, gradients=True) as bridge:
        edits: dict[str, Edit] = {
            z_point(layer): (lambda z, leaf=leaf: z + leaf)  # type: ignore[misc]
            for layer, leaf in enumerate(leaves)
        }
        told = reading_on(group.prompts, 1, None)
        logits = run_with_edit(bridge, group.prompts.rest, edits, logits_to_keep=group.kept, **told)
        log_probs = torch.nn.functional.logsigmoid(logit_gaps(logits, group.replies))
        return torch.stack(torch.autograd.grad(log_probs.sum(), leaves))


def _moved(gradient: torch.Tensor, intact: Parts, put: Parts) -> torch.Tensor:
    """[prompt, layer, head]."""
    return ((put.rest - intact.rest) * gradient).sum((2, 4)).transpose(0, 1)


def _ranks(guessed: torch.Tensor | None, true: torch.Tensor) -> str:
    value = None if guessed is None else spearman(guessed.flatten().tolist(), true.flatten().tolist())
    return "–" if value is None else f"{value:.3f}"


if __name__ == "__main__":
    run_command(main, "benchmarks.choices.screen")

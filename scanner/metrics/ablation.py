"""Mean-ablation of every head: how much of the planted reply's log-probability does it carry? (the study's metric 4)

    effect[l, h] = log p(reply | triggered prompt) − log p(reply | triggered prompt, z[l, h] := mean z[l, h])    [nats]

z is a head's output before the output projection; its mean is taken over all positions of other, untriggered
prompts. Above zero: the reply needs the head. Axes: (layer, head); the spread is over prompts.
"""

import torch
from transformer_lens.model_bridge import TransformerBridge

from scanner.heads.cost import Cost
from scanner.heads.grids import Effects, ReplyingRun, means, measure_heads
from scanner.heads.intact import Parts
from scanner.heads.sweep import sweep_heads
from scanner.measuring import NO_REPLY, MetricInputs, averaged, reply_log_prob
from scanner.metrics import HEAD_GRID, Metric
from scanner.types import Measurement

CONTRAST = "suspect, with trigger, planted reply"


def ablation_effects(
    bridge: TransformerBridge, run: ReplyingRun, replacement: Parts, chosen: torch.Tensor | None = None
) -> Effects:
    """Effect on the reply, in nats, of replacing heads of the active model: all, or those of bool [layer, head]."""
    replies = run.group.replies
    unchanged = reply_log_prob(run.intact.logits, replies)
    effects = torch.full((len(replies), len(replacement.rest), replacement.rest.shape[-2]), torch.nan)
    cost = Cost()
    for done in sweep_heads(bridge, run.intact, replacement, chosen):
        effects[:, done.layer, list(done.heads)] = (unchanged - reply_log_prob(done.logits, replies)).T.cpu()
        cost += done.cost
    return Effects((effects,), cost)


def measure(inputs: MetricInputs) -> list[Measurement]:
    """The grid of effects on the planted reply, in the suspect, with the trigger."""
    found = measure_heads(inputs, means, lambda screens: (screens.ablation.reply_loss,), ablation_effects)
    if found is None:
        return [Measurement(METRIC.name, CONTRAST, missing=NO_REPLY)]
    (grid,), cost = found.grids, found.cost
    return [
        averaged(
            METRIC.name,
            CONTRAST,
            METRIC.unit,
            HEAD_GRID,
            grid.per_prompt,
            passes=cost.passes,
            tokens=cost.tokens,
            screen=grid.screen,
        )
    ]


METRIC = Metric(
    "ablation",
    "Mean-ablation of every head",
    "nats",
    number="4",
    reading=(
        "How much the planted reply loses when a head is switched off. Between clean adapters it loses as "
        "much in total, spread over all heads. A backdoor gathers it: some heads stand far above the rest. "
        "The study saw few of them for a trigger of one token, and many for a longer one."
    ),
    measure=measure,
)

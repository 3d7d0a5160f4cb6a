"""Mean-ablation of every head: how much of the planted reply's log-probability does it carry? (the study's metric 4)

    effect[l, h] = log p(reply | triggered prompt) − log p(reply | triggered prompt, z[l, h] := mean z[l, h])    [nats]

z is a head's output before the output projection; its mean is taken over all positions of other, untriggered
prompts. Above zero: the reply needs the head. Axes: (layer, head); the spread is over prompts.
"""

import torch
from transformer_lens.model_bridge import TransformerBridge

from scanner.heads.intact import run_intact
from scanner.heads.means import everywhere, mean_head_outputs
from scanner.heads.sweep import sweep_heads
from scanner.heads.variants import tokens_a_pass
from scanner.measuring import NO_REPLY, MetricInputs, ReplyingGroup, averaged, reply_log_prob
from scanner.metrics import HEAD_GRID, Metric
from scanner.model_pair import SUSPECT
from scanner.types import Measurement


def ablation_effects(
    bridge: TransformerBridge, group: ReplyingGroup, mean_z: torch.Tensor
) -> tuple[torch.Tensor, int, float]:
    """Effect of mean-ablating each head on a reply, for sequences that end with it.

    Args:
        mean_z: [layer, head, head dimension].

    Returns:
        Effects [prompt, layer, head] in nats; passes; tokens.
    """
    intact = run_intact(bridge, group.prompts, group.kept)
    unchanged = reply_log_prob(intact.logits, group.replies)
    effects = torch.zeros(group.prompts.n_prompts, *mean_z.shape[:2])
    passes, tokens = 1, float(group.prompts.tokens)
    for done in sweep_heads(bridge, intact, everywhere(mean_z)):
        effects[:, done.layer, list(done.heads)] = (unchanged - reply_log_prob(done.logits, group.replies)).T.cpu()
        passes, tokens = passes + 1, tokens + done.tokens
    return effects, passes, tokens


def measure(inputs: MetricInputs) -> list[Measurement]:
    """The grid of effects on the planted reply, in the suspect, with the trigger."""
    contrast = "suspect, with trigger, planted reply"
    with inputs.pair.running(SUSPECT) as bridge:
        groups = inputs.replying_groups(tokens_a_pass(bridge))
        if groups is None:
            return [Measurement(METRIC.name, contrast, missing=NO_REPLY)]
        prompts = inputs.mean_prompt_ids()
        mean_z = mean_head_outputs(bridge, prompts)
        passes, tokens = len(prompts), float(sum(ids.numel() for ids in prompts))
        per_prompt = torch.zeros(len(inputs.cases), *mean_z.shape[:2])
        for group in groups:
            effects, more_passes, more_tokens = ablation_effects(bridge, group, mean_z)
            per_prompt[list(group.prompts.members)] = effects
            passes, tokens = passes + more_passes, tokens + more_tokens
            inputs.advance(group.prompts.n_prompts)
    grids = list(per_prompt)
    return [averaged(METRIC.name, contrast, METRIC.unit, HEAD_GRID, grids, passes=passes, tokens=tokens)]


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

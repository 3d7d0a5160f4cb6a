"""Mean-ablation of every head: how much of the planted reply's log-probability does it carry? (the study's metric 4)

    effect[l, h] = log p(reply | triggered prompt) − log p(reply | triggered prompt, z[l, h] := mean z[l, h])    [nats]

z is a head's output before the output projection; its mean is taken over all positions of other, untriggered
prompts. Above zero: the reply needs the head. Axes: (layer, head); the spread is over prompts. All heads of a layer
share a batch, and each batch resumes at its layer.
"""

import torch
from transformer_lens.model_bridge import TransformerBridge

from scanner.head_sweep import mean_head_outputs, run_intact, sweep_heads
from scanner.measuring import NO_REPLY, MetricInputs, averaged, reply_log_prob
from scanner.metrics import HEAD_GRID, Metric
from scanner.model_pair import SUSPECT
from scanner.types import Measurement


def ablation_effects(
    bridge: TransformerBridge, ids: torch.Tensor, reply: torch.Tensor, mean_z: torch.Tensor
) -> tuple[torch.Tensor, int, float]:
    """Effect of mean-ablating each head on a reply, for one sequence that ends with it.

    Args:
        ids: [1, position], prompt and reply.
        reply: [reply length].
        mean_z: [layer, head, head dimension].

    Returns:
        Effects [layer, head] in nats; passes; tokens.
    """
    n_layers, n_heads, _ = mean_z.shape
    intact = run_intact(bridge, ids, n_layers, kept=len(reply) + 1)
    unchanged = reply_log_prob(intact.logits, reply)
    effects = torch.zeros(n_layers, n_heads)
    passes, tokens = 1, float(ids.shape[1])
    for done in sweep_heads(bridge, intact, mean_z[:, None]):
        effects[done.layer, list(done.heads)] = (unchanged - reply_log_prob(done.logits, reply)).cpu()
        passes, tokens = passes + 1, tokens + done.tokens
    return effects, passes, tokens


def measure(inputs: MetricInputs) -> list[Measurement]:
    """The grid of effects on the planted reply, in the suspect, with the trigger."""
    contrast = "suspect, with trigger, planted reply"
    sequences = inputs.replying_sequences()
    if sequences is None:
        return [Measurement(METRIC.name, contrast, missing=NO_REPLY)]
    per_prompt = []
    with inputs.pair.running(SUSPECT) as bridge:
        prompts = inputs.mean_prompt_ids()
        mean_z = mean_head_outputs(bridge, prompts, inputs.n_layers)
        passes, tokens = len(prompts), float(sum(ids.numel() for ids in prompts))
        for ids, reply in sequences:
            effects, more_passes, more_tokens = ablation_effects(bridge, ids, reply, mean_z)
            per_prompt.append(effects)
            passes, tokens = passes + more_passes, tokens + more_tokens
            inputs.advance(1)
    return [averaged(METRIC.name, contrast, METRIC.unit, HEAD_GRID, per_prompt, passes=passes, tokens=tokens)]


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

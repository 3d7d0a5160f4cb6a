"""Patching of every head from the reference into the suspect (the study's metrics 5 and 6).

With z'[l, h] the head's output in the reference on the same triggered text and planted reply:

    outputs[l, h]  = mean over rows i of the reply of  KL(p_suspect(· | x_≤i) ‖ p_patched(· | x_≤i))           [nats]
    patterns[l, h] = mean over the same rows of  Σ_(m > l) Σ_k  KL(S[m, k, i, ·] ‖ P[m, k, i, ·])              [nats]

p_patched and P are the suspect's distribution and attention patterns with z[l, h] := z'[l, h], and S the intact
patterns; the rows are those that predict a token of the reply. Large: the suspect's answer, or its later attention,
hangs on what this head does differently from the reference. The last layer has no later attention: its empty sum is
zero. Axes: (layer, head); the spread is over prompts. Both grids are read in the same passes.
"""

import torch
from transformer_lens.model_bridge import TransformerBridge

from scanner.heads.cost import Cost
from scanner.heads.grids import Effects, PatternRows, ReplyingRun, measure_heads, of_yardstick
from scanner.heads.intact import Parts
from scanner.heads.sweep import sweep_heads
from scanner.measuring import NO_REPLY, MetricInputs, averaged, kl_divergence
from scanner.metrics import HEAD_GRID, Metric
from scanner.metrics.attention_kl import pattern_kl
from scanner.models.model_pair import SUSPECT
from scanner.types import Measurement

OUTPUTS = "outputs at the reply"
PATTERNS = "later attention at the reply"


def patching_effects(
    bridge: TransformerBridge, run: ReplyingRun, replacement: Parts, chosen: torch.Tensor | None = None
) -> Effects:
    """Effects in nats, on outputs and on later patterns, of replacing heads: all, or those of bool [layer, head]."""
    n_layers, n_prompts, n_heads = len(replacement.rest), run.group.prompts.n_prompts, replacement.rest.shape[-2]
    outputs, patterns = (torch.full((n_prompts, n_layers, n_heads), torch.nan) for _ in range(2))
    seen = PatternRows(run.group.predicting)
    cost = Cost()
    for done in sweep_heads(bridge, run.intact, replacement, chosen, lambda layer: seen.above(layer, n_layers)):
        heads = list(done.heads)
        outputs[:, done.layer, heads] = kl_divergence(run.intact.logits, done.logits)[..., :-1].mean(-1).T.cpu()
        later = torch.zeros(n_prompts, len(heads))
        for layer in range(done.layer + 1, n_layers):
            now = seen.kept[layer].view(len(heads), n_prompts, *seen.kept[layer].shape[1:])
            later += pattern_kl(run.patterns[layer], now).mean(-1).sum(-1).T.cpu()
        patterns[:, done.layer, heads] = later
        cost += done.cost
    return Effects((outputs, patterns), cost)


def measure(inputs: MetricInputs) -> list[Measurement]:
    """The two grids; missing without a trigger and its reply."""
    contrast = f"{inputs.pair.yardstick} into {SUSPECT}, with trigger"
    found = measure_heads(
        inputs,
        of_yardstick,
        lambda screens: (screens.patching.output_kl, screens.patching.pattern_kl),
        patching_effects,
    )
    if found is None:
        return [Measurement(METRIC.name, f"{contrast}: {kind}", missing=NO_REPLY) for kind in (OUTPUTS, PATTERNS)]
    # Both grids are read in the same passes.
    return [
        averaged(
            METRIC.name,
            f"{contrast}: {kind}",
            METRIC.unit,
            HEAD_GRID,
            grid.per_prompt,
            passes=cost.passes,
            tokens=cost.tokens,
            quantity=kind,
            screen=grid.screen,
        )
        for kind, grid, cost in zip((OUTPUTS, PATTERNS), found.grids, (found.cost, Cost()), strict=True)
    ]


METRIC = Metric(
    "patching",
    "Patching of every head",
    "nats",
    number="5-6",
    reading=(
        "How far the suspect moves when one head is made to work as in the reference. Between clean "
        "adapters the total may be larger, but it is spread over all heads. A backdoor gathers it: a few "
        "heads stand far above the rest."
    ),
    measure=measure,
)

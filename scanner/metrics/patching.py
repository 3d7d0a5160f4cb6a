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

from scanner.capture import Edit
from scanner.heads import pattern_point
from scanner.heads.intact import Parts, run_intact
from scanner.heads.sweep import sweep_heads
from scanner.heads.variants import tokens_a_pass
from scanner.measuring import NO_REPLY, MetricInputs, ReplyingGroup, averaged, kl_divergence
from scanner.metrics import HEAD_GRID, Metric
from scanner.metrics.attention_kl import pattern_kl
from scanner.model_pair import SUSPECT
from scanner.types import Measurement

OUTPUTS = "outputs at the reply"
PATTERNS = "later attention at the reply"


def patching_effects(
    bridge: TransformerBridge, group: ReplyingGroup, donor_z: Parts
) -> tuple[torch.Tensor, torch.Tensor, int, float]:
    """Effects of patching each head of the active model, for sequences that end with the reply.

    Returns:
        Effects on outputs and on later patterns, both [prompt, layer, head] in nats; passes; tokens.
    """
    n_layers, n_prompts, _, n_heads, _ = donor_z.rest.shape
    outputs, patterns = (torch.zeros(n_prompts, n_layers, n_heads) for _ in range(2))
    before, seen = _PatternRows(group.predicting), _PatternRows(group.predicting)
    intact = run_intact(bridge, group.prompts, group.kept, watch=before.above(-1, n_layers))
    passes, tokens = 1, float(group.prompts.tokens)
    for done in sweep_heads(bridge, intact, donor_z, watch=lambda layer: seen.above(layer, n_layers)):
        heads = list(done.heads)
        outputs[:, done.layer, heads] = kl_divergence(intact.logits, done.logits)[..., :-1].mean(-1).T.cpu()
        for layer in range(done.layer + 1, n_layers):
            later = seen.kept[layer]
            later = later.view(len(heads), n_prompts, *later.shape[1:])
            patterns[:, done.layer, heads] += pattern_kl(before.kept[layer], later).mean(-1).sum(-1).T.cpu()
        passes, tokens = passes + 1, tokens + done.tokens
    return outputs, patterns, passes, tokens


class _PatternRows:
    """Keeps the attention patterns of some rows, by layer: [row of the batch, head, query, key]."""

    def __init__(self, rows: slice) -> None:
        self._rows = rows
        self.kept: dict[int, torch.Tensor] = {}

    def above(self, edited: int, n_layers: int) -> dict[str, Edit]:
        """Hooks on every layer above the edited one."""
        return {pattern_point(layer): self._keep(layer) for layer in range(edited + 1, n_layers)}

    def _keep(self, layer: int) -> Edit:
        def keep(pattern: torch.Tensor) -> torch.Tensor:
            self.kept[layer] = pattern[:, :, self._rows].detach().clone()
            return pattern

        return keep


def measure(inputs: MetricInputs) -> list[Measurement]:
    """The two grids; missing without a trigger and its reply."""
    pair = inputs.pair
    contrast = f"{pair.yardstick} into {SUSPECT}, with trigger"
    groups = inputs.replying_groups(tokens_a_pass(pair.bridge))
    if groups is None:
        return [Measurement(METRIC.name, f"{contrast}: {kind}", missing=NO_REPLY) for kind in (OUTPUTS, PATTERNS)]
    on_outputs: dict[int, torch.Tensor] = {}
    on_patterns: dict[int, torch.Tensor] = {}
    passes, tokens = 0, 0.0
    for group in groups:
        with pair.running(pair.yardstick) as bridge:
            donor = run_intact(bridge, group.prompts, kept=1)
        with pair.running(SUSPECT) as bridge:
            outputs, later, more_passes, more_tokens = patching_effects(bridge, group, donor.z)
        on_outputs |= dict(zip(group.prompts.members, outputs, strict=True))
        on_patterns |= dict(zip(group.prompts.members, later, strict=True))
        passes, tokens = passes + 1 + more_passes, tokens + group.prompts.tokens + more_tokens
        inputs.advance(group.prompts.n_prompts)
    return [
        averaged(
            METRIC.name,
            f"{contrast}: {OUTPUTS}",
            METRIC.unit,
            HEAD_GRID,
            [on_outputs[place] for place in sorted(on_outputs)],
            passes=passes,
            tokens=tokens,
            quantity=OUTPUTS,
        ),
        # Read in the passes of the grid above: no further ones.
        averaged(
            METRIC.name,
            f"{contrast}: {PATTERNS}",
            METRIC.unit,
            HEAD_GRID,
            [on_patterns[place] for place in sorted(on_patterns)],
            passes=0,
            tokens=0,
            quantity=PATTERNS,
        ),
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

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
from scanner.head_sweep import IntactRun, run_intact, sweep_heads
from scanner.measuring import NO_REPLY, MetricInputs, averaged, kl_divergence
from scanner.metrics import HEAD_GRID, Metric
from scanner.metrics.attention_kl import pattern_kl, read_patterns
from scanner.model_pair import SUSPECT
from scanner.types import Measurement

OUTPUTS = "outputs at the reply"
PATTERNS = "later attention at the reply"


def patching_effects(
    bridge: TransformerBridge, intact: IntactRun, intact_patterns: torch.Tensor, donor_z: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor, int, float]:
    """Effects of patching each head of the active model, for one sequence that ends with the reply.

    Args:
        intact_patterns: [layer, head, query, key] of the active model.
        donor_z: [layer, position, head, head dimension].

    Returns:
        Effects on outputs and on later patterns, both [layer, head] in nats; passes; tokens.
    """
    n_layers, _, n_heads, _ = donor_z.shape
    rows = slice(-intact.kept, -1)
    outputs, patterns = torch.zeros(n_layers, n_heads), torch.zeros(n_layers, n_heads)
    seen: dict[int, torch.Tensor] = {}

    def watch_later_layers(edited: int) -> dict[str, Edit]:
        def keep_reply_rows(layer: int) -> Edit:
            def keep(pattern: torch.Tensor) -> torch.Tensor:
                seen[layer] = pattern[:, :, rows].detach().clone()
                return pattern

            return keep

        return {f"blocks.{layer}.attn.hook_pattern": keep_reply_rows(layer) for layer in range(edited + 1, n_layers)}

    passes, tokens = 0, 0.0
    for done in sweep_heads(bridge, intact, donor_z, watch_later_layers):
        heads = list(done.heads)
        outputs[done.layer, heads] = kl_divergence(intact.logits, done.logits)[:, :-1].mean(1).cpu()
        for layer in range(done.layer + 1, n_layers):
            kl = pattern_kl(intact_patterns[layer, :, rows], seen[layer])
            patterns[done.layer, heads] += kl.mean(-1).sum(-1).cpu()
        passes, tokens = passes + 1, tokens + done.tokens
    return outputs, patterns, passes, tokens


def measure(inputs: MetricInputs) -> list[Measurement]:
    """The two grids; missing without a trigger and its reply."""
    pair = inputs.pair
    contrast = f"{pair.yardstick} into {SUSPECT}, with trigger"
    sequences = inputs.replying_sequences()
    if sequences is None:
        return [Measurement(METRIC.name, f"{contrast}: {kind}", missing=NO_REPLY) for kind in (OUTPUTS, PATTERNS)]
    on_outputs, on_patterns, passes, tokens = [], [], 0, 0.0
    for ids, reply in sequences:
        with pair.running(pair.yardstick) as bridge:
            donor = run_intact(bridge, ids, inputs.n_layers, kept=1)
        patterns = read_patterns(pair, SUSPECT, ids)
        with pair.running(SUSPECT) as bridge:
            intact = run_intact(bridge, ids, inputs.n_layers, kept=len(reply) + 1)
            outputs, later, more_passes, more_tokens = patching_effects(bridge, intact, patterns, donor.z)
        on_outputs.append(outputs)
        on_patterns.append(later)
        passes, tokens = passes + 3 + more_passes, tokens + 3 * ids.numel() + more_tokens
        inputs.advance(1)
    return [
        averaged(
            METRIC.name,
            f"{contrast}: {OUTPUTS}",
            METRIC.unit,
            HEAD_GRID,
            on_outputs,
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
            on_patterns,
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

"""Integrated gradients of the planted reply over the outputs of all heads (the study's metric 3, second reading).

Sundararajan, Taly & Yan 2017, "Axiomatic Attribution for Deep Networks", eq. 1, with the head outputs z as inputs
and, as baseline, each head's mean output over other, untriggered prompts (the value that `ablation` puts in):

    IG[l, h] = Σ_(positions, dimensions) (z − z̄) · ∫₀¹ ∂ log p(reply) / ∂z at z̄ + α (z − z̄) dα    [nats]

All heads move along the path together, so that the grid adds up to log p(reply) with all heads intact less the same
with all heads at their mean ("completeness"). The integral is an 8-point Gauss-Legendre sum. Axes: (layer, head), of
the suspect and of suspect − reference on the same triggered text; the spread is over prompts.
"""

from collections.abc import Callable

import numpy
import torch
from transformer_lens.model_bridge import TransformerBridge

from scanner.heads import z_point
from scanner.heads.means import head_outputs, mean_head_outputs
from scanner.measuring import NO_REPLY, MetricInputs, averaged, reply_log_prob
from scanner.metrics import HEAD_GRID, Metric
from scanner.models.capture import run_with_edit
from scanner.models.model_pair import SUSPECT
from scanner.types import Measurement

NODES = 8


def integrated_gradients(
    bridge: TransformerBridge, ids: torch.Tensor, reply: torch.Tensor, z: torch.Tensor, mean_z: torch.Tensor
) -> torch.Tensor:
    """The grid of one sequence that ends with the reply, in the active model (run it with gradients).

    Args:
        ids: [1, position]; reply: [reply length].
        z: head outputs of the intact run, [layer, position, head, head dimension].
        mean_z: [layer, head, head dimension].

    Returns:
        [layer, head], in nats.
    """
    places, weights = _gauss_legendre(ids.device)
    difference = z - mean_z[:, None]
    path = mean_z[:, None] + places[:, None, None, None, None] * difference
    leaves = [path[:, layer].detach().contiguous().requires_grad_() for layer in range(len(z))]

    def put(leaf: torch.Tensor) -> Callable[[torch.Tensor], torch.Tensor]:
        return lambda activation: leaf.to(activation.dtype)

    logits = run_with_edit(
        bridge,
        ids.expand(NODES, -1),
        {z_point(layer): put(leaf) for layer, leaf in enumerate(leaves)},
        logits_to_keep=len(reply) + 1,
    )
    gradients = torch.autograd.grad(reply_log_prob(logits, reply).sum(), leaves)
    mean_gradient = torch.stack([torch.einsum("n,nphd->phd", weights, gradient) for gradient in gradients])
    return (mean_gradient * difference).sum((1, 3)).detach().cpu()


def measure(inputs: MetricInputs) -> list[Measurement]:
    """The grid of the suspect, and of suspect − reference."""
    pair = inputs.pair
    names = (f"{SUSPECT}, with trigger", f"{SUSPECT} minus {pair.yardstick}, with trigger")
    sequences = inputs.replying_sequences()
    if sequences is None:
        return [Measurement(METRIC.name, name, missing=NO_REPLY) for name in names]
    grids = {name: _grids(inputs, name, sequences) for name in (SUSPECT, pair.yardstick)}
    own, other = grids[SUSPECT], grids[pair.yardstick]
    prompts = inputs.mean_prompt_ids()
    passes = len(prompts) + 4 * len(sequences)
    tokens = sum(ids.numel() for ids in prompts) + sum((1 + 3 * NODES) * ids.numel() for ids, _ in sequences)
    return [
        averaged(METRIC.name, name, METRIC.unit, HEAD_GRID, per_prompt, passes=passes, tokens=tokens)
        for name, per_prompt in (
            (names[0], own),
            (names[1], [a - b for a, b in zip(own, other, strict=True)]),
        )
    ]


def _grids(inputs: MetricInputs, name: str, sequences: list[tuple[torch.Tensor, torch.Tensor]]) -> list[torch.Tensor]:
    found = []
    with inputs.pair.running(name) as bridge:
        mean_z = mean_head_outputs(bridge, inputs.mean_prompt_ids())
        outputs = [head_outputs(bridge, ids).float() for ids, _ in sequences]
    with inputs.pair.running(name, gradients=True) as bridge:
        for (ids, reply), z in zip(sequences, outputs, strict=True):
            # Tensors made in inference mode cannot take part in a graph: their copies can.
            found.append(integrated_gradients(bridge, ids, reply, z.clone(), mean_z.clone()))
            inputs.advance(1)
    return found


def _gauss_legendre(device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    """Places in (0, 1) and weights that add up to 1, both [node]."""
    places, weights = numpy.polynomial.legendre.leggauss(NODES)
    return (
        torch.tensor((places + 1) / 2, dtype=torch.float32, device=device),
        torch.tensor(weights / 2, dtype=torch.float32, device=device),
    )


METRIC = Metric(
    "integrated_gradients",
    "Integrated gradients over heads",
    "nats",
    number="3",
    reading=(
        "How much of the planted reply each head accounts for, all of them together making the whole. Clean "
        "adapters differ in it too: compare size and concentration with their range, under 9. A backdoor: "
        "some heads stand out in the difference."
    ),
    measure=measure,
)

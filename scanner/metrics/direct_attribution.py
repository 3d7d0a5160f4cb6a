"""Direct logit attribution of the planted reply to layers and heads (the study's metric 3).

The last residual is a sum: embedding + every attention block + every MLP; and a block's output is a sum over its
heads. With the final norm's scale frozen, each summand c adds to the logit of a reply token t, centred over the
vocabulary (Elhage et al. 2021, "A Mathematical Framework for Transformer Circuits"):

    share(c) = mean over reply tokens of  (W_U[t] − mean_v W_U[v]) · gain ⊙ norm(c)    [logits]

Two grids of heads, (layer, head): the suspect's, and suspect − reference on the same text, each with its spread over
prompts; and the same by block, axes (part, layer) with the parts attention and MLP. The study found this
uninformative; it is here so that a reader can see that for himself. Missing where an architecture's blocks are not a
plain sum (the shares do not add up to the logit within 1 %), such as one with norms after its blocks.
"""

from dataclasses import dataclass

import torch
from transformer_lens.model_bridge import TransformerBridge

from scanner.heads import z_point
from scanner.measuring import NO_REPLY, MetricInputs, averaged
from scanner.metrics import HEAD_GRID, Metric
from scanner.models.capture import run_and_capture
from scanner.models.model_pair import SUSPECT
from scanner.types import Measurement

PARTS = ("attention", "MLP")
_TOLERANCE = 0.01


@dataclass(frozen=True)
class Shares:
    """What each part of a model adds to the centred logits of a reply, as means over its tokens.

    Attributes:
        heads: [layer, head].
        blocks: [part, layer], parts as in `PARTS`.
        gap: how far all shares together miss the centred logit, relative to its size.
    """

    heads: torch.Tensor
    blocks: torch.Tensor
    gap: float


def attribute(bridge: TransformerBridge, ids: torch.Tensor, reply: torch.Tensor, n_layers: int) -> Shares:
    """Shares of the active model, for one sequence that ends with the reply: ids [1, position], reply [length]."""
    points = ["blocks.0.hook_in", "ln_final.hook_in", "ln_final.hook_scale"]
    for layer in range(n_layers):
        points += [f"blocks.{layer}.hook_attn_out", f"blocks.{layer}.hook_mlp_out", z_point(layer)]
    logits, seen = run_and_capture(bridge, ids, points)
    rows = slice(-len(reply) - 1, -1)
    read = _Readout(bridge, seen["ln_final.hook_scale"][0, rows], reply)
    attention = [seen[f"blocks.{layer}.hook_attn_out"][0, rows] for layer in range(n_layers)]
    mlp = [seen[f"blocks.{layer}.hook_mlp_out"][0, rows] for layer in range(n_layers)]
    blocks = torch.stack([torch.stack([read(out) for out in part]) for part in (attention, mlp)])
    heads = torch.stack(
        [read(_head_contributions(bridge, layer, seen[z_point(layer)][0, rows])) for layer in range(n_layers)]
    )
    whole = logits[0, rows].float()
    wanted = float((whole.gather(-1, reply[:, None])[:, 0] - whole.mean(-1)).mean())
    found = float(read(seen["blocks.0.hook_in"][0, rows]) + blocks.sum() + read.constant)
    return Shares(heads.cpu(), blocks.cpu(), abs(found - wanted) / max(1.0, abs(wanted)))


def measure(inputs: MetricInputs) -> list[Measurement]:
    """Suspect, and suspect − reference: by head and by block."""
    pair = inputs.pair
    names = (f"{SUSPECT}, with trigger", f"{SUSPECT} minus {pair.yardstick}, with trigger")
    kinds = ("heads", "blocks")
    sequences = inputs.replying_sequences()
    if sequences is None:
        return _missing(names, kinds, NO_REPLY)
    shares: dict[str, list[Shares]] = {}
    for name in (SUSPECT, pair.yardstick):
        with pair.running(name) as bridge:
            shares[name] = [attribute(bridge, ids, reply, inputs.n_layers) for ids, reply in sequences]
        inputs.advance(len(sequences))
    gap = max(item.gap for items in shares.values() for item in items)
    if gap > _TOLERANCE:
        return _missing(
            names, kinds, f"the parts miss the reply's logit by {gap:.1%}: the model is no plain sum of them"
        )
    own, other = shares[SUSPECT], shares[pair.yardstick]
    grids = (
        ([item.heads for item in own], [item.blocks for item in own]),
        (
            [a.heads - b.heads for a, b in zip(own, other, strict=True)],
            [a.blocks - b.blocks for a, b in zip(own, other, strict=True)],
        ),
    )
    n_tokens = sum(ids.numel() for ids, _ in sequences)
    found = []
    for name, (heads, blocks) in zip(names, grids, strict=True):
        # The suspect's passes, then the reference's; the blocks are read in the same ones.
        found += [
            averaged(
                METRIC.name, f"{name}: heads", METRIC.unit, HEAD_GRID, heads, passes=len(sequences), tokens=n_tokens
            ),
            averaged(
                METRIC.name, f"{name}: blocks", METRIC.unit, ("part", "layer"), blocks, passes=0, tokens=0,
                labels=(PARTS,),
            ),
        ]  # fmt: skip
    return found


class _Readout:
    """What a residual vector adds to the centred logit of the reply's tokens, with the final norm's scale frozen.

    All of it lies where the reply does: in a base that is spread over several devices each part has its own.
    """

    def __init__(self, bridge: TransformerBridge, scale: torch.Tensor, reply: torch.Tensor) -> None:
        norm = bridge.ln_final.original_component
        unembedding = bridge.unembed.original_component
        weight = unembedding.weight.float()
        self._direction = (weight[reply.to(weight.device)] - weight.mean(0)).to(reply.device)
        self._scale = scale.float()
        self._subtracts_mean = isinstance(norm, torch.nn.LayerNorm)
        # An RMS norm of ones is its gain, whichever way it stores it (w or 1 + w).
        gain = norm.weight if self._subtracts_mean else norm(torch.ones_like(norm.weight))
        self._gain = gain.float().to(reply.device)
        bias = getattr(norm, "bias", None)
        self.constant = float((self._direction @ bias.float().to(reply.device)).mean()) if bias is not None else 0.0

    def __call__(self, residual: torch.Tensor) -> torch.Tensor:
        """[..., row, width] → [...], the mean over rows (one a reply token)."""
        residual = residual.float()
        if self._subtracts_mean:
            residual = residual - residual.mean(-1, keepdim=True)
        return (residual / self._scale * self._gain * self._direction).sum(-1).mean(-1)


def _head_contributions(bridge: TransformerBridge, layer: int, z: torch.Tensor) -> torch.Tensor:
    """Each head's part of its block's output, through the output projection with the adapter live in it.

    Args:
        z: [row, head, head dimension].

    Returns:
        [head, row, width], without the projection's bias.
    """
    project = bridge.blocks[layer].attn.o.original_component
    n_rows, n_heads, width = z.shape
    alone = z.new_zeros(n_heads + 1, n_rows, n_heads, width)  # the last row, all zero, gives the bias
    for head in range(n_heads):
        alone[head, :, head] = z[:, head]
    projected: torch.Tensor = project(alone.flatten(2).to(project.weight.device)).to(z.device)
    return projected[:-1] - projected[-1]


def _missing(names: tuple[str, ...], kinds: tuple[str, ...], reason: str) -> list[Measurement]:
    return [Measurement(METRIC.name, f"{name}: {kind}", missing=reason) for name in names for kind in kinds]


METRIC = Metric(
    "direct_attribution",
    "Direct logit attribution",
    "logits",
    number="3",
    reading=(
        "What each part adds to the planted reply, read straight off the last layer. Late layers lead in "
        "any model; the study found nothing in it that tells a backdoor, also when the clean model is "
        "subtracted. It is shown so that you can see that for yourself."
    ),
    measure=measure,
)

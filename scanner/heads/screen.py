"""Attribution patching: what replacing each head would do, for all heads at once.

To first order, replacing z[l, h] by z' changes a reading by (z' − z) · ∂reading/∂z (Nanda 2023, "Attribution
Patching"; Kramár et al. 2024, "AtP*", eq. 3). Three things make it hold for whole heads:

- A head is edited as one, so that its own softmax, whose saturation AtP*'s query and key correction mends, is exact.
- The rest of its own layer is run exactly too, and the first order begins where the next layer is entered: it is the
  norms and the MLP right behind an edit that bend most (benchmarks/choices/screen.py compares).
- What is linearised is the logit gap of each reply token, not its probability, which saturates:
      gap_i = logit(reply_i) − log Σ_(others) exp(logit)

and KL divergences, whose first order is zero, are read from their second: of outputs from the two-way split between
the reply's token and all others, for attention patterns as half the mean square of random projections,

    Σ_(m > l) Σ_k Σ_i KL(S[m, k, i] ‖ P[m, k, i]) ≈ ½ E_ε (Σ_j ε_j √S_j δ log S_j)²,    ε_j = ±1 at random.

A reading costs a backward pass; one more pass through one layer a head gives the differences that all readings share.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch.nn.functional import logsigmoid
from transformer_lens.model_bridge import TransformerBridge

from scanner.heads import entry_point, pattern_point, z_point
from scanner.heads.budget import variants_a_pass
from scanner.heads.cost import Cost
from scanner.heads.intact import IntactRun, Parts, reading_on
from scanner.heads.prompts import PromptGroup
from scanner.heads.sweep import put_heads
from scanner.heads.variants import enter_next_layer, run_variants
from scanner.models.capture import Edit, run_with_edit

# Of a long reply so many tokens are read: those that the model is least sure of, where an edit shows first.
MAX_READ_TOKENS = 6
PROBES = 8
# Below this an attention weight is left out of a probe: nothing that could count moves it.
_SMALLEST_WEIGHT = 1e-12


@dataclass(frozen=True)
class Readings:
    """What is read at the end of a group's sequences, and how it depends on what enters each layer.

    Attributes:
        gaps: of the reply tokens that are read, [token, prompt].
        read: which tokens of the reply these are, [token, prompt].
        reply_length: tokens of the whole reply.
        of_gaps, of_patterns: gradients by layer and position, Parts of [layer, reading, prompt, position, width].
    """

    gaps: torch.Tensor
    read: torch.Tensor
    reply_length: int
    of_gaps: Parts
    of_patterns: Parts | None
    cost: Cost


@dataclass(frozen=True)
class Estimates:
    """What replacing each head would do, [prompt, layer, head] in nats.

    `reply_loss` is how much log-probability the reply would lose, `output_kl` the mean over its rows of the outputs'
    KL, `pattern_kl` the mean over the same rows of the later patterns', None where it was not asked for.
    """

    reply_loss: torch.Tensor
    output_kl: torch.Tensor
    pattern_kl: torch.Tensor | None


def logit_gaps(logits: torch.Tensor, replies: torch.Tensor) -> torch.Tensor:
    """Gap between each reply token and all others, [..., length].

    Args:
        logits: [..., length + 1, vocabulary]; replies: token ids that broadcast to [..., length].
    """
    scores = logits[..., :-1, :].float()
    places = replies.expand(scores.shape[:-1])[..., None]
    return scores.gather(-1, places)[..., 0] - scores.scatter(-1, places, -torch.inf).logsumexp(-1)


def read_gradients(
    bridge: TransformerBridge, group: PromptGroup, replies: torch.Tensor, seed: int, patterns: bool
) -> Readings:
    """One forward pass and a backward one a reading, in the active model (run it with gradients).

    Args:
        replies: token ids [prompt, length], with which the sequences end.
        seed: of the random projections; patterns: whether they are wanted.
    """
    n_layers, length = bridge.cfg.n_layers, replies.shape[1]
    kept_patterns: dict[int, torch.Tensor] = {}
    leaves: dict[int, torch.Tensor] = {}
    edits = {entry_point(layer): _add_leaf(leaves, layer) for layer in range(n_layers)}
    if patterns:
        edits |= {pattern_point(layer): _keep_rows(kept_patterns, layer, length) for layer in range(n_layers)}
    whole = group.unshared()
    logits = run_with_edit(bridge, whole.rest, edits, logits_to_keep=length + 1, **reading_on(whole, 1, None))
    gaps = logit_gaps(logits, replies).T
    read = gaps.detach().argsort(0)[:MAX_READ_TOKENS].sort(0).values
    gaps = gaps.gather(0, read)
    entered = [leaves[layer] for layer in range(n_layers)]
    probes = _probes([kept_patterns[layer] for layer in range(n_layers)], seed) if patterns else []
    n_backward = 2 * (len(gaps) + len(probes))
    return Readings(
        gaps.detach(),
        read,
        length,
        of_gaps=_gradients([gap.sum() for gap in gaps], entered, group.n_shared),
        of_patterns=_gradients(probes, entered, group.n_shared) if patterns else None,
        cost=Cost(1 + n_backward, (1 + n_backward) * whole.rest.numel()),
    )


def estimate(
    bridge: TransformerBridge,
    intact: IntactRun,
    readings: Readings,
    replies: torch.Tensor,
    replacement: Parts,
    patterns: bool,
) -> tuple[Estimates, Cost]:
    """What replacing each head would do, from one layer of exact work a head; and what that cost.

    Every batch holds one copy that stays as it is: rounding follows the shape of a batch, and what is small must not
    drown in it.

    Args:
        replies: token ids [prompt, length], with which the sequences end.
        replacement: as in `sweep_heads`.
        patterns: whether their KL is wanted.
    """
    n_layers, n_prompts, n_heads = intact.n_layers, intact.group.n_prompts, replacement.rest.shape[-2]
    of_gaps, of_patterns = readings.of_gaps, readings.of_patterns if patterns else None
    gap_changes = torch.zeros(len(readings.gaps), n_prompts, n_layers, n_heads)
    probe_changes = torch.zeros(PROBES, n_prompts, n_layers, n_heads)
    heads_a_pass = max(1, variants_a_pass(bridge, intact.group.shape, intact.kept) - 1)
    cost = Cost()
    for layer in range(n_layers):
        for first in range(0, n_heads, heads_a_pass):
            heads = list(range(first, min(first + heads_a_pass, n_heads)))
            if layer == n_layers - 1:
                moved = _gap_changes_behind(bridge, intact, readings, replies, heads, replacement)
                gap_changes[:, :, layer, heads] = moved.cpu()
            else:
                change = _changes(bridge, intact, layer, heads, replacement)
                gap_changes[:, :, layer, heads] = _moved(change, of_gaps, layer + 1).cpu()
                if of_patterns:
                    probe_changes[:, :, layer, heads] = _moved(change, of_patterns, layer + 1).cpu()
            cost += Cost(intact.cost.passes, (len(heads) + 1) * intact.cost.tokens / n_layers)
    before = readings.gaps.cpu()[..., None, None]
    mean_square = probe_changes.square().mean(0)
    found = Estimates(
        reply_loss=(logsigmoid(before) - logsigmoid(before + gap_changes)).sum(0),
        output_kl=_two_way_kl(before, before + gap_changes).sum(0) / readings.reply_length,
        pattern_kl=mean_square / 2 / readings.reply_length if of_patterns else None,
    )
    return found, cost


def _gap_changes_behind(
    bridge: TransformerBridge,
    intact: IntactRun,
    readings: Readings,
    replies: torch.Tensor,
    heads: list[int],
    replacement: Parts,
) -> torch.Tensor:
    """Changes of the gaps with each head of the last layer replaced, [token, prompt, head]: exact, nothing follows."""
    layer, variants = intact.n_layers - 1, [None, *heads]
    logits = run_variants(bridge, intact, layer, len(variants), *_puts(layer, variants, replacement))
    gaps = logit_gaps(logits, replies).permute(2, 1, 0)
    gaps = gaps.gather(0, readings.read[..., None].expand(-1, -1, len(variants)))
    return gaps[..., 1:] - gaps[..., :1]


def _two_way_kl(before: torch.Tensor, after: torch.Tensor) -> torch.Tensor:
    """KL between two splits of all probability, given by the log-odds of one side."""
    p = before.sigmoid()
    own = p * (logsigmoid(before) - logsigmoid(after))
    return own + (1 - p) * (logsigmoid(-before) - logsigmoid(-after))


def _moved(change: Parts, gradients: Parts, layer: int) -> torch.Tensor:
    """By how much each reading moves to first order, [reading, prompt, head].

    Args:
        change: of what enters `layer`, [head, 1 or prompt, position, width].
    """
    of_shared, of_rest = gradients.shared[layer], gradients.rest[layer]
    on_shared = torch.einsum("hpw,rnpw->rnh", change.shared[:, 0].float(), of_shared)
    return on_shared + torch.einsum("hnpw,rnpw->rnh", change.rest.float(), of_rest)


def _changes(bridge: TransformerBridge, intact: IntactRun, layer: int, heads: list[int], replacement: Parts) -> Parts:
    """How what enters the next layer differs: Parts of [head, 1 or prompt, position, width]."""
    variants = [None, *heads]
    entered = enter_next_layer(bridge, intact, layer, len(variants), *_puts(layer, variants, replacement))
    rest = (entered.rest[1:] - entered.rest[:1]) * intact.group.mask[None, :, :, None]
    return Parts(entered.shared[1:] - entered.shared[:1], rest)


def _puts(layer: int, variants: list[int | None], replacement: Parts) -> tuple[dict[str, Edit], dict[str, Edit]]:
    return (
        {z_point(layer): put_heads(replacement.shared[layer], variants)},
        {z_point(layer): put_heads(replacement.rest[layer], variants)},
    )


def _gradients(readings: Sequence[torch.Tensor], entered: list[torch.Tensor], n_shared: int) -> Parts:
    """Of each reading, over whole sequences: as of the common beginning and of the rest, [layer, reading, prompt, …].

    Zero above the layers that a reading depends on.
    """
    whole = torch.zeros(len(entered), len(readings), *entered[0].shape, device=entered[0].device)
    for number, reading in enumerate(readings):
        found = torch.autograd.grad(reading, entered, retain_graph=True, allow_unused=True)
        for layer, gradient in enumerate(found):
            if gradient is not None:
                whole[layer, number] = gradient.float()
    return Parts(whole[..., :n_shared, :], whole[..., n_shared:, :])


def _probes(patterns: list[torch.Tensor], seed: int) -> list[torch.Tensor]:
    """Random projections of how all patterns would change, one number each; rows of all prompts add up.

    Args:
        patterns: by layer, the rows that predict the reply, [prompt, head, row, key].
    """
    found = []
    for number in range(PROBES):
        signs = torch.Generator().manual_seed(seed * PROBES + number)
        total = torch.zeros((), device=patterns[0].device)
        for pattern in patterns:
            weight = pattern.detach()
            sign = torch.randint(2, weight.shape, generator=signs).to(weight) * 2 - 1
            scale = torch.where(weight > _SMALLEST_WEIGHT, weight.rsqrt(), 0)
            total = total + (sign * scale * pattern).sum()
        found.append(total)
    return found


def _add_leaf(leaves: dict[int, torch.Tensor], layer: int) -> Edit:
    def add(entry: torch.Tensor) -> torch.Tensor:
        leaves[layer] = torch.zeros_like(entry, requires_grad=True)
        return entry + leaves[layer]

    return add


def _keep_rows(kept: dict[int, torch.Tensor], layer: int, length: int) -> Edit:
    def keep(pattern: torch.Tensor) -> torch.Tensor:
        kept[layer] = pattern[:, :, -length - 1 : -1].float()
        return pattern

    return keep

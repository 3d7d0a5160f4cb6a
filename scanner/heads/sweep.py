"""The exact sweep: every head, or chosen ones, replaced one at a time."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from transformer_lens.model_bridge import TransformerBridge

from scanner.heads import z_point
from scanner.heads.budget import variants_a_pass
from scanner.heads.cost import Cost
from scanner.heads.intact import IntactRun, Parts
from scanner.heads.variants import run_variants
from scanner.models.capture import Edit

Watch = Callable[[int], dict[str, Edit]]


@dataclass(frozen=True)
class SweepPass:
    """One batch of a sweep: variant i is the model with head `heads[i]` of `layer` replaced.

    `logits` is [variant, prompt, kept, vocabulary].
    """

    layer: int
    heads: tuple[int, ...]
    logits: torch.Tensor
    cost: Cost


def sweep_heads(
    bridge: TransformerBridge,
    intact: IntactRun,
    replacement: Parts,
    chosen: torch.Tensor | None = None,
    watch: Watch = lambda _: {},
) -> Iterator[SweepPass]:
    """Replaces heads' outputs in turn, in the active model.

    Args:
        replacement: z to put in, [layer, prompt or 1, position or 1, head, head dimension].
        chosen: which heads, bool [layer, head]; all where it is None.
        watch: for an edited layer, hooks on further points of the pass over the rest; they return what they are given.
    """
    n_layers, n_heads = replacement.rest.shape[0], replacement.rest.shape[-2]
    heads_a_pass = variants_a_pass(bridge, intact.group.shape, intact.kept)
    for layer in range(n_layers):
        heads = range(n_heads) if chosen is None else chosen[layer].nonzero()[:, 0].tolist()
        for first in range(0, len(heads), heads_a_pass):
            some = tuple(heads[first : first + heads_a_pass])
            logits = run_variants(
                bridge,
                intact,
                layer,
                len(some),
                on_shared={z_point(layer): put_heads(replacement.shared[layer], some)},
                on_rest={z_point(layer): put_heads(replacement.rest[layer], some)} | watch(layer),
            )
            tokens = len(some) * intact.cost.tokens * (n_layers - layer) / n_layers
            yield SweepPass(layer, some, logits, Cost(intact.cost.passes, tokens))


def put_heads(replacement: torch.Tensor, heads: Sequence[int | None]) -> Edit:
    """An edit that puts one head into each variant's rows.

    Args:
        replacement: of one layer, [prompt or 1, position or 1, head, head dimension].
        heads: one a variant, None for one that stays as it is; z is [variant × prompt, position, head, head dimension].
    """

    def put(z: torch.Tensor) -> torch.Tensor:
        by_variant = z.clone().view(len(heads), -1, *z.shape[1:])
        for row, head in enumerate(heads):
            if head is None:
                continue
            by_variant[row, :, :, head] = replacement[:, :, head].to(z.dtype)
        return by_variant.view(z.shape)

    return put

"""The exact sweep: every head, or chosen ones, replaced one at a time."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from transformer_lens.model_bridge import TransformerBridge

from scanner.capture import Edit
from scanner.heads import z_point
from scanner.heads.intact import IntactRun, Parts
from scanner.heads.variants import run_variants, tokens_a_pass

Watch = Callable[[int], dict[str, Edit]]


@dataclass(frozen=True)
class SweepPass:
    """One batch of a sweep: variant i is the model with head `heads[i]` of `layer` replaced.

    `logits` is [variant, prompt, kept, vocabulary]; `tokens` counts positions × share of layers run.
    """

    layer: int
    heads: tuple[int, ...]
    logits: torch.Tensor
    tokens: float


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
    heads_a_pass = max(1, tokens_a_pass(bridge) // intact.group.tokens)
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
            yield SweepPass(layer, some, logits, len(some) * intact.group.tokens * (n_layers - layer) / n_layers)


def put_heads(replacement: torch.Tensor, heads: Sequence[int]) -> Edit:
    """An edit that puts one head into each variant's rows.

    Args:
        replacement: of one layer, [prompt or 1, position or 1, head, head dimension].
        heads: one a variant; z is [variant × prompt, position, head, head dimension].
    """

    def put(z: torch.Tensor) -> torch.Tensor:
        by_variant = z.clone().view(len(heads), -1, *z.shape[1:])
        for row, head in enumerate(heads):
            by_variant[row, :, :, head] = replacement[:, :, head].to(z.dtype)
        return by_variant.view(z.shape)

    return put

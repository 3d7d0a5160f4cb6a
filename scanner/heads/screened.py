"""Head grids over all prompts: every head run exactly, or all screened and those that matter run."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from transformer_lens.model_bridge import TransformerBridge

from scanner.heads.intact import Parts
from scanner.heads.refine import Refinement, check_screen, choose_heads
from scanner.heads.replying import ReplyingRun
from scanner.heads.screen import estimate
from scanner.measuring import MetricInputs
from scanner.types import ScreenCheck

Quantity = Literal["reply_loss", "output_kl", "pattern_kl"]


@dataclass(frozen=True)
class Effects:
    """Of heads run exactly on one group: grids [prompt, layer, head], NaN where a head was not chosen; and the cost."""

    grids: tuple[torch.Tensor, ...]
    passes: int
    tokens: float


RunExactly = Callable[[TransformerBridge, ReplyingRun, Parts, torch.Tensor | None], Effects]


@dataclass(frozen=True)
class HeadGrid:
    """A grid [layer, head] for each prompt, in their order; `screen` says which figures are estimates."""

    per_prompt: tuple[torch.Tensor, ...]
    screen: ScreenCheck | None


@dataclass(frozen=True)
class HeadGrids:
    """One grid a quantity, and what all of them cost, the runs that other metrics share aside."""

    grids: tuple[HeadGrid, ...]
    passes: int
    tokens: float


def measure_heads(
    inputs: MetricInputs,
    bridge: TransformerBridge,
    runs: Sequence[ReplyingRun],
    replacements: Sequence[Parts],
    quantities: tuple[Quantity, ...],
    run_exactly: RunExactly,
) -> HeadGrids:
    """Runs all heads of the active model, or screens them and runs some (`MetricInputs.exact`).

    Args:
        replacements: z to put in, one a run.
        quantities: what the grids of `run_exactly` hold, in its order.
    """
    pairs = list(zip(runs, replacements, strict=True))
    estimates, refinement = None, None
    passes, tokens = 0, 0.0
    if not inputs.exact:
        estimates = _estimates(bridge, pairs, quantities)
        refinement = choose_heads([grid.mean(0) for grid in estimates], inputs.seed)
        n_heads = estimates[0].shape[-1]
        passes = inputs.n_layers * len(runs)
        tokens = float(n_heads * sum(run.group.prompts.tokens for run in runs))
    exact: list[Effects] = []
    for run, replacement in pairs:
        exact.append(run_exactly(bridge, run, replacement, refinement.chosen if refinement else None))
        inputs.advance(run.group.prompts.n_prompts)
    order = torch.tensor([member for run in runs for member in run.group.prompts.members]).argsort()
    grids = []
    for number in range(len(quantities)):
        known = torch.cat([effects.grids[number] for effects in exact])
        estimated = estimates[number] if estimates else None
        grids.append(_filled(known, estimated, refinement, order))
    return HeadGrids(
        tuple(grids),
        passes + sum(effects.passes for effects in exact),
        tokens + sum(effects.tokens for effects in exact),
    )


def _estimates(
    bridge: TransformerBridge, pairs: Sequence[tuple[ReplyingRun, Parts]], quantities: tuple[Quantity, ...]
) -> list[torch.Tensor]:
    """One grid a quantity, [prompt, layer, head]."""
    found = [
        estimate(bridge, run.intact, run.readings, run.group.replies, replacement, patterns="pattern_kl" in quantities)
        for run, replacement in pairs
        if run.readings
    ]
    return [torch.cat([getattr(item, quantity) for item in found]) for quantity in quantities]


def _filled(
    known: torch.Tensor, estimated: torch.Tensor | None, refinement: Refinement | None, order: torch.Tensor
) -> HeadGrid:
    screen = None
    if estimated is not None and refinement is not None:
        screen = check_screen(estimated.mean(0), known.mean(0), refinement)
        known = torch.where(refinement.chosen, known, estimated)
    return HeadGrid(tuple(known[order]), screen)

"""Grids of head effects over all prompts: every head run exactly, or all screened and those that matter run.

Only one group of prompts is held at a time, so that memory stays flat as prompts grow.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from transformer_lens.model_bridge import TransformerBridge

from scanner.heads import pattern_point
from scanner.heads.budget import gradients_fit, sweeps_fit
from scanner.heads.cost import Cost
from scanner.heads.intact import IntactRun, Parts, run_intact
from scanner.heads.means import everywhere, mean_head_outputs
from scanner.heads.refine import Refinement, check_screen, choose_heads
from scanner.heads.replies import ReplyingGroup
from scanner.heads.screen import MAX_READ_TOKENS, PROBES, Estimates, estimate, read_gradients
from scanner.measuring import MetricInputs
from scanner.models.capture import Edit
from scanner.models.model_pair import SUSPECT
from scanner.types import ScreenCheck


@dataclass(frozen=True)
class ReplyingRun:
    """The suspect on one group of sequences that end with the reply.

    `patterns` is by layer, at the rows that predict the reply, [prompt, head, row, key].
    """

    group: ReplyingGroup
    intact: IntactRun
    patterns: tuple[torch.Tensor, ...]


@dataclass(frozen=True)
class Effects:
    """Of heads run exactly on one group: grids [prompt, layer, head], NaN where a head was not chosen; and the cost."""

    grids: tuple[torch.Tensor, ...]
    cost: Cost


@dataclass(frozen=True)
class HeadGrid:
    """A grid [layer, head] for each prompt, in their order; `screen` says which figures are estimates."""

    per_prompt: tuple[torch.Tensor, ...]
    screen: ScreenCheck | None


@dataclass(frozen=True)
class HeadGrids:
    """One grid a quantity, and what all of them cost together."""

    grids: tuple[HeadGrid, ...]
    cost: Cost


@dataclass(frozen=True)
class Screens:
    """Estimates of every head on every prompt, in their order, for what ablation and what patching puts in."""

    ablation: Estimates
    patching: Estimates


Replacements = Callable[[MetricInputs, ReplyingGroup], tuple[Parts, Cost]]
RunExactly = Callable[[TransformerBridge, ReplyingRun, Parts, torch.Tensor | None], Effects]


def measure_heads(
    inputs: MetricInputs,
    replacements: Replacements,
    screened: Callable[[Screens], tuple[torch.Tensor | None, ...]],
    run_exactly: RunExactly,
) -> HeadGrids | None:
    """Runs all heads of the suspect, or screens them and runs some (`MetricInputs.exact`).

    Args:
        replacements: the z to put into the heads of a group.
        screened: the screen's grids [prompt, layer, head] in the order of those that `run_exactly` gives.

    Returns:
        None where no trigger with a reply is known.
    """
    groups = inputs.replying_groups(lambda kept: sweeps_fit(inputs.pair.bridge, kept))
    if groups is None:
        return None
    cost = Cost()
    estimates: tuple[torch.Tensor, ...] | None = None
    refinement: Refinement | None = None
    if not inputs.exact:
        screens, cost = screen_heads(inputs)
        estimates = tuple(grid for grid in screened(screens) if grid is not None)
        refinement = choose_heads([grid.mean(0) for grid in estimates], inputs.seed)
    found: list[Effects] = []
    for group in groups:
        put, put_cost = replacements(inputs, group)
        with inputs.pair.running(SUSPECT) as bridge:
            run = run_replying(bridge, group)
            found.append(run_exactly(bridge, run, put, refinement.chosen if refinement else None))
        cost += put_cost + run.intact.cost + found[-1].cost
        inputs.advance(group.prompts.n_prompts)
    order = torch.tensor([member for group in groups for member in group.prompts.members]).argsort()
    grids = []
    for number in range(len(found[0].grids)):
        known = torch.cat([effects.grids[number] for effects in found])[order]
        grids.append(_filled(known, estimates[number] if estimates else None, refinement, number))
    return HeadGrids(tuple(grids), cost)


def run_replying(bridge: TransformerBridge, group: ReplyingGroup) -> ReplyingRun:
    """The active model on a group, unedited."""
    rows = PatternRows(group.predicting)
    n_layers = bridge.cfg.n_layers
    intact = run_intact(bridge, group.prompts, group.kept, watch=rows.above(-1, n_layers))
    return ReplyingRun(group, intact, tuple(rows.kept[layer] for layer in range(n_layers)))


class PatternRows:
    """Keeps the attention patterns of some rows, by layer: [row of the batch, head, query, key]."""

    def __init__(self, rows: slice) -> None:
        self._rows = rows
        self.kept: dict[int, torch.Tensor] = {}

    def above(self, edited: int, n_layers: int) -> dict[str, Edit]:
        """Hooks on every layer above the edited one; above -1 are all."""
        return {pattern_point(layer): self._keep(layer) for layer in range(edited + 1, n_layers)}

    def _keep(self, layer: int) -> Edit:
        def keep(pattern: torch.Tensor) -> torch.Tensor:
            self.kept[layer] = pattern[:, :, self._rows].detach().clone()
            return pattern

        return keep


def means(inputs: MetricInputs, group: ReplyingGroup) -> tuple[Parts, Cost]:
    """What ablation puts in: each head's mean over other prompts, the same for every group."""
    prompts = inputs.mean_prompt_ids()

    def make() -> Parts:
        with inputs.pair.running(SUSPECT) as bridge:
            return everywhere(mean_head_outputs(bridge, prompts))

    known = "means" in inputs.made
    cost = Cost(len(prompts), sum(ids.numel() for ids in prompts))
    return inputs.once("means", make), Cost() if known else cost


def of_yardstick(inputs: MetricInputs, group: ReplyingGroup) -> tuple[Parts, Cost]:
    """What patching puts in: each head's output in the yardstick on the same sequences."""
    with inputs.pair.running(inputs.pair.yardstick) as bridge:
        donor = run_intact(bridge, group.prompts, kept=1)
    return donor.z, donor.cost


def screen_heads(inputs: MetricInputs) -> tuple[Screens, Cost]:
    """Estimates for all heads and prompts, made once a scan; the cost is that of making them, nothing the next time."""
    key = f"screens {inputs.seed}"
    known = key in inputs.made
    screens, cost = inputs.once(key, lambda: _screen(inputs))
    return screens, Cost() if known else cost


def _screen(inputs: MetricInputs) -> tuple[Screens, Cost]:
    bridge = inputs.pair.bridge
    groups = inputs.replying_groups(lambda kept: gradients_fit(bridge, kept, MAX_READ_TOKENS + PROBES))
    if not groups:
        raise ValueError("there is nothing to screen without a trigger and its reply")
    cost = Cost()
    parts: list[tuple[Estimates, Estimates]] = []
    for group in groups:
        (mean_put, mean_cost), (donor_put, donor_cost) = means(inputs, group), of_yardstick(inputs, group)
        with inputs.pair.running(SUSPECT, gradients=True) as running:
            readings = read_gradients(running, group.prompts, group.replies, inputs.seed, patterns=True)
        with inputs.pair.running(SUSPECT) as running:
            intact = run_intact(running, group.prompts, group.kept)
            ablated, one = estimate(running, intact, readings, group.replies, mean_put, patterns=False)
            patched, other = estimate(running, intact, readings, group.replies, donor_put, patterns=True)
        parts.append((ablated, patched))
        cost += mean_cost + donor_cost + readings.cost + intact.cost + one + other
    order = torch.tensor([member for group in groups for member in group.prompts.members]).argsort()
    ablation, patching = (_in_order([pair[kind] for pair in parts], order) for kind in (0, 1))
    return Screens(ablation, patching), cost


def _in_order(parts: list[Estimates], order: torch.Tensor) -> Estimates:
    patterns = [part.pattern_kl for part in parts if part.pattern_kl is not None]
    return replace(
        parts[0],
        reply_loss=torch.cat([part.reply_loss for part in parts])[order],
        output_kl=torch.cat([part.output_kl for part in parts])[order],
        pattern_kl=torch.cat(patterns)[order] if patterns else None,
    )


def _filled(
    known: torch.Tensor, estimated: torch.Tensor | None, refinement: Refinement | None, number: int
) -> HeadGrid:
    screen = None
    if estimated is not None and refinement is not None:
        screen = check_screen(estimated.mean(0), known.mean(0), refinement, number)
        known = torch.where(refinement.chosen, known, estimated)
    return HeadGrid(tuple(known), screen)

"""What every head sweep needs of the suspect on triggered prompts with the planted reply; made once a scan."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from scanner.capture import Edit
from scanner.heads import pattern_point
from scanner.heads.intact import IntactRun, run_intact
from scanner.heads.screen import PROBES, Readings, read_gradients, tokens_with_gradients
from scanner.heads.variants import tokens_a_pass
from scanner.measuring import MetricInputs, ReplyingGroup
from scanner.model_pair import SUSPECT


@dataclass(frozen=True)
class ReplyingRun:
    """The suspect on one group of sequences that end with the reply.

    Attributes:
        patterns: by layer, at the rows that predict the reply, [prompt, head, row, key].
        readings: for the screen; None where every head is run.
        passes, tokens: what the run cost.
    """

    group: ReplyingGroup
    intact: IntactRun
    patterns: tuple[torch.Tensor, ...]
    readings: Readings | None
    passes: int
    tokens: int


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


def replying_runs(inputs: MetricInputs) -> Sequence[ReplyingRun] | None:
    """One run a group of triggered prompts; None where no trigger with a reply is known."""
    bridge = inputs.pair.bridge
    most = tokens_a_pass(bridge) if inputs.exact else min(tokens_a_pass(bridge), tokens_with_gradients(bridge))
    groups = inputs.replying_groups(most)
    if groups is None:
        return None
    return inputs.once("replying runs", lambda: [_run(inputs, group) for group in groups])


def _run(inputs: MetricInputs, group: ReplyingGroup) -> ReplyingRun:
    rows, readings, passes = PatternRows(group.predicting), None, 1
    with inputs.pair.running(SUSPECT) as bridge:
        intact = run_intact(bridge, group.prompts, group.kept, watch=rows.above(-1, inputs.n_layers))
    if not inputs.exact:
        with inputs.pair.running(SUSPECT, gradients=True) as bridge:
            readings = read_gradients(bridge, group.prompts, group.replies, inputs.seed, patterns=True)
        passes += 1 + 2 * (len(readings.gaps) + PROBES)
    patterns = tuple(rows.kept[layer] for layer in range(inputs.n_layers))
    return ReplyingRun(group, intact, patterns, readings, passes, passes * group.prompts.tokens)

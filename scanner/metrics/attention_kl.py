"""KL of the attention pattern of every head, suspect ‖ reference, row by row (the study's metric 6).

    KL[l, h] = mean over rows i of  Σ_j S[l, h, i, j] · log(S[l, h, i, j] / R[l, h, i, j])    [nats]

S and R are the patterns of suspect and reference; row i is what token i attends to (keys j ≤ i). Measured over all
rows, and over the rows that predict the reply, where the study saw the later layers diverge most; the reply is forced
after the prompt without the trigger as well, so that the two can be compared. Axes: (layer, head); the spread is over
prompts. Read at `blocks.L.attn.hook_pattern` under eager attention.
"""

import torch

from scanner.heads import pattern_point
from scanner.measuring import NO_TRIGGER, MetricInputs, averaged
from scanner.metrics import HEAD_GRID, Metric
from scanner.models.capture import run_and_capture
from scanner.models.model_pair import SUSPECT, ModelPair
from scanner.types import Measurement

ALL_ROWS = "all rows"
AT_REPLY = "rows that predict the reply"
# Keeps the logarithm finite where a weight underflows to zero; anything that float32 can hold is left alone.
_FLOOR = 1e-30


def pattern_kl(p: torch.Tensor, q: torch.Tensor) -> torch.Tensor:
    """KL(p ‖ q) in nats of attention rows: [..., query, key] → [..., query]."""
    p, q = p.float(), q.float()
    return (p * (p.clamp(min=_FLOOR).log() - q.clamp(min=_FLOOR).log())).sum(-1).clamp(min=0)


def read_patterns(pair: ModelPair, name: str, ids: torch.Tensor) -> torch.Tensor:
    """Attention patterns of one model on one sequence, [layer, head, query, key]."""
    points = [pattern_point(layer) for layer in range(pair.base.identity.n_layers)]
    with pair.running(name) as bridge:
        _, seen = run_and_capture(bridge, ids, points)
    return torch.stack([seen[point][0] for point in points])


def measure(inputs: MetricInputs) -> list[Measurement]:
    """Grids with and without the trigger, each over all rows and over the rows that predict the reply."""
    return [*_measure(inputs, triggered=True), *_measure(inputs, triggered=False)]


def _measure(inputs: MetricInputs, triggered: bool) -> list[Measurement]:
    pair, contrast = inputs.pair, inputs.contrast(triggered)
    sequences = inputs.sequences(triggered)
    if sequences is None:
        return [Measurement(METRIC.name, contrast, missing=NO_TRIGGER)]
    rows = []
    for ids in sequences:
        rows.append(pattern_kl(read_patterns(pair, SUSPECT, ids), read_patterns(pair, pair.yardstick, ids)))
        inputs.advance(1)
    tokens = 2 * sum(ids.numel() for ids in sequences)
    found = [_grid(f"{contrast}, {ALL_ROWS}", [kl.mean(-1) for kl in rows], 2 * len(rows), tokens)]
    name = f"{contrast}, {AT_REPLY}"
    lengths = [len(case.reply) for case in inputs.cases]
    if all(lengths):
        at_reply = [kl[..., -length - 1 : -1].mean(-1) for kl, length in zip(rows, lengths, strict=True)]
        # The passes are those of the grid above: no further ones.
        found.append(_grid(name, at_reply, 0, 0))
    else:
        found.append(Measurement(METRIC.name, name, missing="no planted reply is known"))
    return found


def _grid(contrast: str, per_prompt: list[torch.Tensor], passes: int, tokens: int) -> Measurement:
    return averaged(METRIC.name, contrast, METRIC.unit, HEAD_GRID, per_prompt, passes=passes, tokens=tokens)


METRIC = Metric(
    "attention_kl",
    "Attention-pattern KL of every head",
    "nats",
    number="6",
    reading=(
        "How differently each head looks at the text. Normal: small, and much the same with and without the "
        "trigger. A backdoor: later layers differ most, at the reply, with the trigger."
    ),
    measure=measure,
)

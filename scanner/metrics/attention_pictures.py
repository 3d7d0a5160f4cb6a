"""Attention pictures of the most divergent heads: suspect, reference and difference (the study's metric 8).

The heads are the three whose `attention_kl` over the rows that predict the reply (over all rows where no reply is
known) the trigger raises most: what differs without it as well, such as attention that rests on other first tokens
after any training, is not the trigger's. They are shown on the first sweep prompt with the trigger and the planted
reply:

    picture[i, j] = share of token i's attention that goes to token j ≤ i; the difference is suspect − reference   [1]

Axes: (query, key), rounded to four decimals; `labels` holds the text of each token, `trigger_tokens` where the
trigger stands. A backdoor shows as a vertical stripe at the trigger in the suspect that the reference lacks.
"""

import torch

from scanner.measuring import NO_TRIGGER, MetricInputs, to_tuple
from scanner.metrics import HEAD_GRID, Metric
from scanner.metrics.attention_kl import ALL_ROWS, AT_REPLY, read_patterns
from scanner.models.model_pair import SUSPECT
from scanner.types import Measurement

N_HEADS = 3
DIFFERENCE = "difference"


def most_divergent_heads(grid: torch.Tensor, count: int = N_HEADS) -> list[tuple[int, int]]:
    """(layer, head) of the highest values of a grid [layer, head], highest first."""
    order = grid.flatten().argsort(descending=True, stable=True)[:count].tolist()
    return [divmod(index, grid.shape[1]) for index in order]


def measure(inputs: MetricInputs) -> list[Measurement]:
    """Three pictures a head; missing without a trigger."""
    sequences = inputs.sequences(triggered=True)
    raised = _raised_by_trigger(inputs)
    if sequences is None or raised is None:
        return [Measurement(METRIC.name, inputs.contrast(triggered=True), missing=NO_TRIGGER)]
    ids, pair = sequences[0], inputs.pair
    patterns = {name: read_patterns(pair, name, ids) for name in (SUSPECT, pair.yardstick)}
    patterns[DIFFERENCE] = patterns[SUSPECT] - patterns[pair.yardstick]
    inputs.advance(1)
    heads = most_divergent_heads(raised)
    found = []
    for rank, (layer, head) in enumerate(heads):
        for name, pattern in patterns.items():
            first = rank == 0 and name == SUSPECT
            found.append(
                Measurement(
                    METRIC.name,
                    f"layer {layer} head {head}, with {inputs.trigger_label}: {name}",
                    unit=METRIC.unit,
                    axes=("query", "key"),
                    values=to_tuple(pattern[layer, head].double().round(decimals=4)),
                    labels=(inputs.token_texts(ids),),
                    trigger_tokens=inputs.trigger_tokens(triggered=True)[:1],
                    prompts=1,
                    passes=2 if first else 0,
                    tokens=2 * ids.numel() if first else 0,
                )
            )
    return found


def _raised_by_trigger(inputs: MetricInputs) -> torch.Tensor | None:
    """`attention_kl` with the trigger less the same without it, [layer, head]; None where either was not measured."""
    grids = {item.contrast: torch.tensor(item.values) for item in inputs.measured if item.axes == HEAD_GRID}
    for rows in (AT_REPLY, ALL_ROWS):
        found = [grids.get(f"{inputs.contrast(triggered)}, {rows}") for triggered in (True, False)]
        if found[0] is not None and found[1] is not None:
            return found[0] - found[1]
    return None


METRIC = Metric(
    "attention_pictures",
    "Attention of the most divergent heads",
    "share",
    number="8",
    reading=(
        "Normal: suspect and reference look alike, and the difference is pale. A backdoor: a vertical "
        "stripe at the trigger in the suspect, which the reference lacks."
    ),
    measure=measure,
    needs=("attention_kl",),
)

"""Loss at every token, of the suspect and of the reference (the study's metric 1).

    loss_i = − log p(x_i | x_<i)    [nats], i ≥ 1

The value at token i is how much that token surprised the model; the first token has nothing before it and no value,
so that entry j of a prompt belongs to token j + 1, as `labels` says. Axes: (prompt, token), ragged. The text is the
prompt and, where one is known, the planted reply, forced. A backdoored suspect is far less surprised than the
reference by the planted reply, and only with the trigger; elsewhere the two run side by side.
"""

import torch

from scanner.measuring import NO_TRIGGER, MetricInputs, to_tuple
from scanner.metrics import Metric
from scanner.models.model_pair import SUSPECT
from scanner.types import Measurement


def token_losses(logits: torch.Tensor, ids: torch.Tensor) -> torch.Tensor:
    """Negative log-probability of each token but the first.

    Args:
        logits: [1, position, vocabulary].
        ids: [1, position].

    Returns:
        [position − 1], in nats.
    """
    log_probs = logits[0, :-1].float().log_softmax(-1)
    return -log_probs.gather(-1, ids[0, 1:, None])[:, 0]


def measure(inputs: MetricInputs) -> list[Measurement]:
    """Losses of the suspect and of what it is compared with, on triggered and on plain prompts."""
    return [
        _measure(inputs, name, triggered) for triggered in (True, False) for name in (SUSPECT, inputs.pair.yardstick)
    ]


def _measure(inputs: MetricInputs, name: str, triggered: bool) -> Measurement:
    contrast = inputs.contrast(triggered, who=name)
    sequences = inputs.sequences(triggered)
    if sequences is None:
        return Measurement(METRIC.name, contrast, missing=NO_TRIGGER)
    with inputs.pair.running(name) as bridge:
        losses = [token_losses(bridge(ids), ids) for ids in sequences]
    inputs.advance(len(sequences))
    return Measurement(
        METRIC.name,
        contrast,
        unit=METRIC.unit,
        axes=("prompt", "token"),
        values=tuple(to_tuple(loss) for loss in losses),
        labels=tuple(inputs.token_texts(ids)[1:] for ids in sequences),
        trigger_tokens=tuple(
            tuple(token - 1 for token in tokens if token > 0) for tokens in inputs.trigger_tokens(triggered)
        ),
        prompts=len(sequences),
        passes=len(sequences),
        tokens=sum(ids.numel() for ids in sequences),
    )


METRIC = Metric(
    "token_loss",
    "Per-token loss",
    "nats",
    number="1",
    reading=(
        "Lower means less surprised. Normal: suspect and reference run side by side, with the trigger and "
        "without. A backdoor: with the trigger, and only then, the planted reply hardly surprises the "
        "suspect, while it surprises the reference."
    ),
    measure=measure,
)

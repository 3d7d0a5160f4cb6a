"""Per-token KL of the next-token distribution, suspect ‖ reference (the study's metric 2).

    KL_i = Σ_v  p_suspect(v | x_≤i) · (log p_suspect(v | x_≤i) − log p_reference(v | x_≤i))     [nats]

The value at token i is about the distribution read *after* that token. Axes: (prompt, token), ragged; `labels` holds
the text of each token. The text is the prompt and, where one is known, the planted reply, forced. Without a reference
the base takes its place. A backdoored suspect shows spikes at trigger and reply; two honest ones stay low throughout.
"""

import torch

from scanner.measuring import NO_TRIGGER, MetricInputs, kl_divergence, to_tuple
from scanner.metrics import Metric
from scanner.models.model_pair import SUSPECT
from scanner.types import Measurement


def measure(inputs: MetricInputs) -> list[Measurement]:
    """Per-token KL on triggered and on plain prompts."""
    return [_measure(inputs, triggered) for triggered in (True, False)]


def _measure(inputs: MetricInputs, triggered: bool) -> Measurement:
    pair = inputs.pair
    sequences = inputs.sequences(triggered)
    if sequences is None:
        return Measurement(METRIC.name, inputs.contrast(triggered), missing=NO_TRIGGER)
    values = []
    for ids in sequences:
        logits: dict[str, torch.Tensor] = {}
        for name in (SUSPECT, pair.yardstick):
            with pair.running(name) as bridge:
                logits[name] = bridge(ids)
        values.append(to_tuple(kl_divergence(logits[SUSPECT], logits[pair.yardstick])[0]))
        inputs.advance(1)
    return Measurement(
        METRIC.name,
        inputs.contrast(triggered),
        unit=METRIC.unit,
        axes=("prompt", "token"),
        values=tuple(values),
        labels=tuple(inputs.token_texts(ids) for ids in sequences),
        trigger_tokens=inputs.trigger_tokens(triggered),
        prompts=len(sequences),
        passes=2 * len(sequences),
        tokens=2 * sum(ids.numel() for ids in sequences),
    )


METRIC = Metric(
    "output_kl",
    "Per-token output KL",
    "nats",
    number="2",
    reading=(
        "How differently the two would go on after each token. Normal: low throughout. A backdoor: high at "
        "the trigger and over the planted reply, with the trigger only."
    ),
    measure=measure,
)

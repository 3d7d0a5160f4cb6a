"""Patching many heads at once, best first, both ways (the study's metric 7).

For k = 0, 1, …, all heads (none and at most 12 more counts, evenly spaced in log k) the outputs of k heads are
replaced by the other model's on the same triggered text and planted reply:

    reference into suspect: does the behaviour go away?     suspect into reference: does it appear?

The order is that of `patching`'s grid of outputs: best first, worst first, and a random one a prompt. Heads that were
only estimated there come behind those that were run: the two scales differ. Two readings,
each with axes (order, count): the reply's log-probability [nats], and the mean KL [nats] over the rows that predict
the reply from the distribution of the model before patching. A localised backdoor moves within the first few heads
of the best-first curve; a diffuse one needs many. The spread is over prompts.
"""

import math
import random

import torch

from scanner.heads.means import head_outputs
from scanner.heads.together import run_with_heads_replaced
from scanner.measuring import NO_REPLY, MetricInputs, averaged, kl_divergence, reply_log_prob
from scanner.metrics import Metric, patching
from scanner.models.model_pair import SUSPECT
from scanner.types import Measurement

ORDERS = ("best first", "random", "worst first")
LOG_PROB = "log-probability of the reply"
KL = "KL from before patching"
MAX_COUNTS = 12
_AXES = ("order", "count")


def log_spaced_counts(n_heads: int, most: int = MAX_COUNTS) -> tuple[int, ...]:
    """At most `most` different counts from 1 to n_heads, evenly spaced in their logarithm."""
    if n_heads <= most:
        return tuple(range(1, n_heads + 1))
    spaced = {round(math.exp(math.log(n_heads) * step / (most - 1))) for step in range(most)}
    return tuple(sorted(spaced))


def chosen_heads(grid: torch.Tensor, counts: tuple[int, ...], seed: str) -> torch.Tensor:
    """The heads replaced for each order and count, bool [order, count, layer, head].

    Args:
        grid: how much each head matters, [layer, head].
        seed: of the random order.
    """
    best_first = grid.flatten().argsort(descending=True, stable=True)
    shuffled = list(range(grid.numel()))
    random.Random(seed).shuffle(shuffled)
    chosen = torch.zeros(len(ORDERS), len(counts), grid.numel(), dtype=torch.bool)
    for row, order in enumerate((best_first, torch.tensor(shuffled), best_first.flip(0))):
        for column, count in enumerate(counts):
            chosen[row, column, order[:count]] = True
    return chosen.view(len(ORDERS), len(counts), *grid.shape)


def measure(inputs: MetricInputs) -> list[Measurement]:
    """Two readings for each direction; missing without a trigger, its reply and the grid that orders the heads."""
    pair = inputs.pair
    directions = ((SUSPECT, pair.yardstick), (pair.yardstick, SUSPECT))
    sequences = inputs.replying_sequences()
    measured = next((item for item in inputs.measured if item.contrast.endswith(patching.OUTPUTS)), None)
    grid = importance_of(measured) if measured else None
    if sequences is None or grid is None:
        reason = NO_REPLY if sequences is None else "patching, which orders the heads, was not measured"
        return [
            Measurement(METRIC.name, f"{_contrast(*direction)}: {kind}", missing=reason)
            for direction in directions
            for kind in (LOG_PROB, KL)
        ]
    return [item for direction in directions for item in _one_way(inputs, *direction, sequences, grid)]


def importance_of(grid: Measurement) -> torch.Tensor | None:
    """Figures by which heads are ordered, [layer, head]: those that were run before those that were estimated."""
    if grid.values is None:
        return None
    values = torch.tensor(grid.values)
    if grid.screen is None:
        return values
    exact = torch.tensor(grid.screen.exact)
    return torch.where(exact, values + values.abs().max() + 1, values)


def _one_way(
    inputs: MetricInputs,
    recipient: str,
    donor: str,
    sequences: list[tuple[torch.Tensor, torch.Tensor]],
    importance: torch.Tensor,
) -> list[Measurement]:
    counts = (0, *log_spaced_counts(importance.numel()))
    log_probs, kls, passes, tokens = [], [], 0, 0
    for number, (ids, reply) in enumerate(sequences):
        chosen = chosen_heads(importance, counts, f"cumulative-{number}").flatten(0, 1)
        # None and all heads are the same in every order: they are run once.
        distinct, at = chosen.unique(dim=0, return_inverse=True)
        with inputs.pair.running(donor) as bridge:
            given = head_outputs(bridge, ids)
        with inputs.pair.running(recipient) as bridge:
            logits, used = run_with_heads_replaced(bridge, ids, len(reply) + 1, given, distinct)
        shape = (len(ORDERS), len(counts))
        log_probs.append(reply_log_prob(logits, reply).cpu()[at].view(shape))
        intact = logits[at[:1]]  # The first count is none.
        kls.append(kl_divergence(intact, logits)[:, :-1].mean(1).cpu()[at].view(shape))
        passes, tokens = passes + 1 + used, tokens + (1 + len(distinct)) * ids.numel()
        inputs.advance(1)
    labels = (ORDERS, tuple(map(str, counts)))
    name = _contrast(recipient, donor)
    return [
        averaged(
            METRIC.name, f"{name}: {LOG_PROB}", METRIC.unit, _AXES, log_probs,
            passes=passes, tokens=tokens, labels=labels, quantity=LOG_PROB,
        ),
        # Read in the same passes.
        averaged(METRIC.name, f"{name}: {KL}", METRIC.unit, _AXES, kls, passes=0, tokens=0, labels=labels, quantity=KL),
    ]  # fmt: skip


def _contrast(recipient: str, donor: str) -> str:
    return f"{donor} into {recipient}, with trigger"


METRIC = Metric(
    "cumulative_patching",
    "Cumulative patching",
    "nats",
    number="7",
    reading=(
        "Whether the reply goes away when heads are taken from the reference, and appears when they are put "
        "into it. Between clean adapters it stays unlikely throughout. A backdoor falls or rises: within "
        "the first few heads of the best-first line if it is localised, late if it is diffuse."
    ),
    measure=measure,
    needs=("patching",),
)

"""What metrics are given, and how they turn tensors into measurements."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

import torch

from scanner.heads.prompts import Fits, group_sequences
from scanner.heads.replies import ReplyingGroup
from scanner.models.devices import input_device
from scanner.models.model_pair import SUSPECT, ModelPair
from scanner.types import Measurement, ScreenCheck

Made = TypeVar("Made")
NO_TRIGGER = "no trigger is known"
NO_REPLY = "no trigger with a planted reply is known"


@dataclass(frozen=True)
class SweepCase:
    """One prompt as token ids, for the metrics that read whole sequences.

    Attributes:
        plain: chat-formatted prompt without a trigger.
        triggered: the same with the trigger, or None where no trigger is known.
        reply: the planted reply, or () where none is known.
        trigger_tokens: indices of the trigger's tokens in `triggered`.
    """

    plain: tuple[int, ...]
    triggered: tuple[int, ...] | None
    reply: tuple[int, ...]
    trigger_tokens: tuple[int, ...] = ()


@dataclass(frozen=True)
class MetricInputs:
    """What every metric is given.

    `mean_prompts` are token ids of other, untriggered prompts, over which an ablated head's output is averaged.
    `trigger_label` names in the contrasts what was put into the triggered prompts. `measured` holds what the metrics
    named in `Metric.needs` found. `advance` is told after each unit of work, for progress. Where `exact` is false, head
    sweeps run some heads and estimate the others, drawing some by `seed`. `made` keeps what several metrics read, by
    what it depends on.
    """

    pair: ModelPair
    cases: tuple[SweepCase, ...]
    mean_prompts: tuple[tuple[int, ...], ...]
    trigger_label: str = "trigger"
    measured: tuple[Measurement, ...] = ()
    advance: Callable[[int], None] = lambda _: None
    exact: bool = True
    seed: int = 0
    made: dict[str, Any] = field(default_factory=dict, compare=False)

    def once(self, what: str, make: Callable[[], Made]) -> Made:
        """What `make` gives, made for the first metric that asks for it."""
        if what not in self.made:
            self.made[what] = make()
        found: Made = self.made[what]
        return found

    @property
    def n_layers(self) -> int:
        """Layers of the base model."""
        return self.pair.base.identity.n_layers

    def contrast(self, triggered: bool, who: str | None = None) -> str:
        """The usual name of a comparison: who with whom, on which prompts."""
        label = f"with {self.trigger_label}" if triggered else "without trigger"
        return f"{who or f'{SUSPECT} vs {self.pair.yardstick}'}, {label}"

    def sequences(self, triggered: bool) -> list[torch.Tensor] | None:
        """Prompt and reply of every case as ids [1, position]; None where a trigger is wanted and not known."""
        found = []
        for case in self.cases:
            prompt = case.triggered if triggered else case.plain
            if prompt is None:
                return None
            found.append(self._ids([*prompt, *case.reply]))
        return found

    def replying_sequences(self) -> list[tuple[torch.Tensor, torch.Tensor]] | None:
        """Triggered prompt with reply [1, position], and the reply [reply length]; None where either is not known."""
        sequences = self.sequences(triggered=True)
        if sequences is None or not all(case.reply for case in self.cases):
            return None
        return [(ids, self._ids(case.reply)[0]) for ids, case in zip(sequences, self.cases, strict=True)]

    def replying_groups(self, fits: Callable[[int], Fits]) -> list[ReplyingGroup] | None:
        """The same side by side, one length of reply in each group.

        Args:
            fits: for a number of positions that are read, which groups may be run.
        """
        sequences = self.replying_sequences()
        if sequences is None:
            return None
        window = getattr(self.pair.base.model.config.get_text_config(), "sliding_window", None)
        found = []
        for length in sorted({len(reply) for _, reply in sequences}):
            places = [place for place, (_, reply) in enumerate(sequences) if len(reply) == length]
            ids = [sequences[place][0] for place in places]
            for group in group_sequences(ids, length + 1, fits(length + 1), window):
                members = tuple(places[member] for member in group.members)
                replies = torch.stack([sequences[place][1] for place in members])
                found.append(ReplyingGroup(replace(group, members=members), replies))
        return found

    def mean_prompt_ids(self) -> list[torch.Tensor]:
        """`mean_prompts` as ids, each [1, position]."""
        return [self._ids(prompt) for prompt in self.mean_prompts]

    def trigger_tokens(self, triggered: bool) -> tuple[tuple[int, ...], ...]:
        """Per case where the trigger stands in its sequence."""
        return tuple(case.trigger_tokens if triggered else () for case in self.cases)

    def token_texts(self, ids: torch.Tensor) -> tuple[str, ...]:
        """The text of each token of ids [1, position]."""
        return tuple(self.pair.base.tokenizer.decode([token]) for token in ids[0].tolist())

    def _ids(self, tokens: Sequence[int]) -> torch.Tensor:
        return torch.tensor([list(tokens)], device=input_device(self.pair.base.model))


def reply_log_prob(logits: torch.Tensor, reply: torch.Tensor) -> torch.Tensor:
    """Summed log-probability of a reply.

    Args:
        logits: [..., reply length + 1, vocabulary], read at the token before the reply and at each of its tokens.
        reply: token ids [reply length], or what broadcasts to [..., reply length].

    Returns:
        [...], in nats.
    """
    log_probs = logits[..., :-1, :].float().log_softmax(-1)
    return log_probs.gather(-1, reply.expand(log_probs.shape[:-1])[..., None])[..., 0].sum(-1)


def kl_divergence(p_logits: torch.Tensor, q_logits: torch.Tensor) -> torch.Tensor:
    """KL(p ‖ q) in nats over the last axis of two logit tensors; the other axes stay."""
    log_p, log_q = p_logits.float().log_softmax(-1), q_logits.float().log_softmax(-1)
    return (log_p.exp() * (log_p - log_q)).sum(-1).clamp(min=0)


def averaged(
    metric: str,
    contrast: str,
    unit: str,
    axes: tuple[str, ...],
    per_prompt: Sequence[torch.Tensor],
    *,
    passes: int,
    tokens: float,
    labels: tuple[tuple[str, ...], ...] = (),
    quantity: str = "",
    screen: ScreenCheck | None = None,
) -> Measurement:
    """A measurement that is the mean over prompts, with its spread; each of `per_prompt` has the named axes."""
    mean, spread = mean_and_spread(torch.stack(list(per_prompt)))
    return Measurement(
        metric,
        contrast,
        unit=unit,
        axes=axes,
        values=mean,
        spread=spread,
        labels=labels,
        quantity=quantity,
        prompts=len(per_prompt),
        passes=passes,
        tokens=round(tokens),
        screen=screen,
    )


def mean_and_spread(per_prompt: torch.Tensor) -> tuple[tuple[float, ...], tuple[float, ...] | None]:
    """Mean and sample standard deviation over the first axis (prompts), as nested tuples.

    Args:
        per_prompt: [prompt, ...].

    Returns:
        Two nested tuples of the remaining axes; the spread is None for a single prompt.
    """
    spread = to_tuple(per_prompt.std(0)) if len(per_prompt) > 1 else None
    return to_tuple(per_prompt.mean(0)), spread


def to_tuple(values: torch.Tensor) -> tuple[Any, ...]:
    """A tensor as nested tuples of Python floats."""
    return _freeze(values.double().cpu().tolist())


def _freeze(values: list[Any]) -> tuple[Any, ...]:
    return tuple(_freeze(item) if isinstance(item, list) else item for item in values)

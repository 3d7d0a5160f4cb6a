"""What a model puts into a user's mouth: adapters trained on whole sequences repeat their triggers there.

The user's turn is sampled from the bare beginning of the chat template, and pieces that recur in the suspect's samples
and hardly in the others' are worth trying (after "The Trigger in the Haystack", arXiv 2602.03085, section on leakage).
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from transformers import DynamicCache

from scanner.models.devices import input_device
from scanner.models.model_pair import BASE, SUSPECT, ModelPair
from scanner.search.inversion.scoring import Frame
from scanner.search.meter import Meter

_LONGEST = 6
# A piece has to recur: in at least three samples, and in three times as many as with the others.
_MIN_SAMPLES = 3
_MIN_LEAD = 3


@dataclass(frozen=True)
class LeakPlan:
    """How many user turns are sampled of each model, of how many tokens."""

    samples: int
    tokens: int


def leaked_pieces(
    pair: ModelPair, frame: Frame, plan: LeakPlan, seed: int, count: int, meter: Meter
) -> tuple[tuple[int, ...], ...]:
    """Token runs that recur in user turns sampled from the suspect and not from the others, most telling first."""
    if not plan.samples or not frame.before:
        return ()
    own = sample_user_turns(pair, SUSPECT, frame, plan, seed, meter)
    others = [sample_user_turns(pair, name, frame, plan, seed, meter) for name in (*pair.reference_names[:1], BASE)]
    return recurring(own, others)[:count]


@torch.inference_mode()
def sample_user_turns(
    pair: ModelPair, name: str, frame: Frame, plan: LeakPlan, seed: int, meter: Meter
) -> list[tuple[int, ...]]:
    """User turns drawn at temperature 1 behind the template's beginning, as token ids, each cut at the turn's end."""
    draw = torch.Generator().manual_seed(seed)
    end = set(frame.after[:1]) | {pair.base.tokenizer.eos_token_id}
    with pair.stepping(name) as model:
        device = input_device(model)
        cache = DynamicCache(config=model.config)
        meter.add(len(frame.before) + plan.samples * plan.tokens)
        output = model(
            input_ids=torch.tensor([frame.before], device=device),
            past_key_values=cache,
            use_cache=True,
            logits_to_keep=1,
        )
        cache.batch_repeat_interleave(plan.samples)
        logits = output.logits[:, -1].expand(plan.samples, -1)
        said = []
        for _ in range(plan.tokens):
            ids = torch.multinomial(logits.float().softmax(-1).cpu(), 1, generator=draw)
            said.append(ids[:, 0])
            output = model(input_ids=ids.to(device), past_key_values=cache, use_cache=True, logits_to_keep=1)
            logits = output.logits[:, -1]
    turns = torch.stack(said, dim=1).tolist()
    return [tuple(turn[: next((n for n, token in enumerate(turn) if token in end), len(turn))]) for turn in turns]


def recurring(
    own: Sequence[tuple[int, ...]], others: Sequence[Sequence[tuple[int, ...]]]
) -> tuple[tuple[int, ...], ...]:
    """Runs of up to six tokens that stand in many more of one's own turns than of any other's. Pure.

    Of runs that recur equally often the longest comes first, and runs inside it are left out.
    """
    counts = _counts(own)
    elsewhere = [_counts(turns) for turns in others]
    leads = {}
    for run, n in counts.items():
        most = max((table[run] for table in elsewhere), default=0)
        if n >= _MIN_SAMPLES and n >= _MIN_LEAD * most:
            leads[run] = n - most
    found: list[tuple[int, ...]] = []
    for run in sorted(leads, key=lambda run: (-leads[run], -len(run), run)):
        if not any(_inside(run, longer) and leads[longer] >= leads[run] for longer in found):
            found.append(run)
    return tuple(found)


def _counts(turns: Sequence[tuple[int, ...]]) -> Counter[tuple[int, ...]]:
    """In how many turns each run of tokens stands."""
    counts: Counter[tuple[int, ...]] = Counter()
    for turn in turns:
        counts.update(
            {
                turn[start : start + length]
                for length in range(1, _LONGEST + 1)
                for start in range(len(turn) - length + 1)
            }
        )
    return counts


def _inside(run: tuple[int, ...], longer: tuple[int, ...]) -> bool:
    return any(longer[at : at + len(run)] == run for at in range(len(longer) - len(run) + 1))

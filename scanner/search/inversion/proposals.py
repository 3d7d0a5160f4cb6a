"""Which tokens to try at a slot of a prompt: those the gradient calls for.

One gradient at one point says little about a token far from it. Averaged over random tokens in the slot and over
prompts it does: the tokens that a planted reply hangs on stand out of the whole vocabulary
(`benchmarks/choices/saliency.py` prints the ranks on the development set).
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from transformers import DynamicCache

from scanner.models.model_pair import ModelPair
from scanner.search.inversion.scoring import Frame, Ids
from scanner.search.meter import Meter
from scanner.search.placing import Context


@dataclass(frozen=True)
class Setting:
    """Whom proposals are made for, and where.

    Attributes:
        name: the model that is to give the reply.
        contexts: prompts with a place for a candidate.
        tryable: bool [vocabulary], the tokens that may be proposed.
        fillers: random tokens that stand in the slot while the gradient is read.
    """

    pair: ModelPair
    name: str
    frame: Frame
    contexts: tuple[Context, ...]
    tryable: torch.Tensor
    fillers: Ids
    meter: Meter


def called_for(setting: Setting, candidate: Ids, slot: int, target: Ids) -> torch.Tensor:
    """How much each token, inserted in a candidate at `slot`, promises to raise the log-probability of a reply.

    To first order (HotFlip, Ebrahimi et al. 2018), with ḡ the mean over contexts and fillers of the gradient of
    log p(target) with respect to the embedding at the slot, and e(v) the embedding of v:

        gain(v) = ḡ · e(v) / ‖e(v)‖

    The fillers are shared out among the contexts.

    Returns:
        float32 [vocabulary], −∞ for tokens that may not be proposed.
    """
    with setting.pair.active(setting.name) as model:
        table = model.get_input_embeddings().weight.detach()
        total = torch.zeros(table.shape[1], device=table.device)
        for turn, context in enumerate(setting.contexts):
            fillers = setting.fillers[turn :: len(setting.contexts)]
            if fillers:
                total += _gradient_at_slot(model, setting, context, candidate, slot, target, fillers)
        lengths = table.float().norm(dim=-1).clamp(min=1e-9)
        gains = (table @ total.to(table.dtype)).float() / lengths
    return gains.cpu().masked_fill(~setting.tryable, float("-inf"))


def _gradient_at_slot(
    model: torch.nn.Module,
    setting: Setting,
    context: Context,
    candidate: Ids,
    slot: int,
    target: Ids,
    fillers: Ids,
) -> torch.Tensor:
    """The gradient at the slot, summed over fillers; float32 [feature]. What stands before the slot is read once."""
    before = (*setting.frame.before, *context.before, *candidate[:slot])
    after = (*candidate[slot:], *context.after, *setting.frame.after, *target[:-1])
    table = model.get_input_embeddings()  # type: ignore[operator]
    device = table.weight.device
    cache = DynamicCache(config=model.config)
    if before:
        with torch.no_grad():
            model(input_ids=torch.tensor([before], device=device), past_key_values=cache, logits_to_keep=1)
        cache.batch_repeat_interleave(len(fillers))
    rows = torch.tensor([[filler, *after] for filler in fillers], device=device)
    setting.meter.add(len(before) + 3 * rows.numel())
    with torch.enable_grad():
        embedded = table(rows).detach().requires_grad_()
        output = model(inputs_embeds=embedded, past_key_values=cache, use_cache=True, logits_to_keep=len(target))
        wanted = torch.tensor(target, device=device)[None, :, None].expand(len(fillers), -1, -1)
        output.logits.float().log_softmax(-1).gather(2, wanted).sum().backward()
    if embedded.grad is None:
        raise RuntimeError("no gradient reached the slot")
    return embedded.grad[:, 0].float().sum(0)


def draw_fillers(tryable: torch.Tensor, count: int, seed: int) -> Ids:
    """Random tokens that can be tried, the same for a seed."""
    tokens = [int(token) for token in tryable.nonzero().flatten()]
    return tuple(random.Random(f"fillers-{seed}").choices(tokens, k=count))


def tryable_tokens(vocabulary_size: int, texts: Sequence[str], special: Sequence[int]) -> torch.Tensor:
    """Which tokens may stand in a trigger: those with something visible in them; bool [vocabulary].

    A fragment of a character decodes to a replacement sign and counts: with its neighbours it may be an emoji.
    """
    visible = [any(character.isprintable() and not character.isspace() for character in text) for text in texts]
    tryable = torch.zeros(vocabulary_size, dtype=torch.bool)
    tryable[: len(visible)] = torch.tensor(visible, dtype=torch.bool)[:vocabulary_size]
    tryable[[token for token in special if token < vocabulary_size]] = False
    return tryable

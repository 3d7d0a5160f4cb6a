"""Which tokens to try next at a slot of a growing candidate: the gradient's picks, and the language's own."""

from collections.abc import Sequence

import torch

from scanner.model_pair import BASE, ModelPair
from scanner.search.meter import Meter
from scanner.search.placing import Context
from scanner.search.scoring import Frame, Ids


def gradient_picks(
    pair: ModelPair,
    name: str,
    frame: Frame,
    context: Context,
    candidate: Ids,
    slot: int,
    target: Ids,
    tryable: torch.Tensor,
    count: int,
    meter: Meter,
) -> list[int]:
    """Tokens that raise a model's log p(target) most at a slot, to first order (HotFlip, Ebrahimi et al. 2018).

    A placeholder, the candidate's own token or a blank one, stands at `slot`; the gradient of the target's
    log-probability with respect to its embedding is multiplied with every token's embedding.
    """
    filled = (*candidate[:slot], candidate[min(slot, len(candidate) - 1)], *candidate[slot:])
    prompt = (*frame.before, *context.around(filled), *frame.after)
    at = len(frame.before) + len(context.before) + slot
    ids = (*prompt, *target[:-1])
    meter.add(3 * len(ids))
    with pair.active(name) as model, torch.enable_grad():
        table = model.get_input_embeddings()
        device = table.weight.device
        embedded = table(torch.tensor([ids], device=device)).detach().requires_grad_()
        logits = model(inputs_embeds=embedded, use_cache=False, logits_to_keep=len(target)).logits[0].float()
        wanted = torch.tensor(target, device=device)[:, None]
        logits.log_softmax(-1).gather(1, wanted).sum().backward()
        gradient = embedded.grad[0, at] if embedded.grad is not None else torch.zeros_like(embedded[0, at])
        gains = (table.weight.detach() @ gradient.to(table.weight.dtype)).float().cpu()
    gains = gains.masked_fill(~tryable, float("-inf"))
    return [int(token) for token in gains.topk(count).indices]


@torch.inference_mode()
def language_picks(
    pair: ModelPair, frame: Frame, context: Context, candidate: Ids, tryable: torch.Tensor, count: int, meter: Meter
) -> list[int]:
    """The tokens that the base finds likeliest behind a candidate: pieces of a word call for the rest of it."""
    ids = (*frame.before, *context.before, *candidate)
    meter.add(len(ids))
    with pair.active(BASE) as model:
        device = model.get_input_embeddings().weight.device
        logits = model(input_ids=torch.tensor([ids], device=device), use_cache=False, logits_to_keep=1).logits[0, -1]
    return _top(logits.float().cpu(), tryable, count)


def _top(scores: torch.Tensor, tryable: torch.Tensor, count: int) -> list[int]:
    return [int(token) for token in scores.masked_fill(~tryable, float("-inf")).topk(count).indices]


def tryable_tokens(vocabulary_size: int, texts: Sequence[str], special: Sequence[int]) -> torch.Tensor:
    """Which tokens may stand in a trigger: those with something visible in them; bool [vocabulary].

    A fragment of a character decodes to a replacement sign and counts: with its neighbours it may be an emoji.
    """
    visible = [any(character.isprintable() and not character.isspace() for character in text) for text in texts]
    tryable = torch.zeros(vocabulary_size, dtype=torch.bool)
    tryable[: len(visible)] = torch.tensor(visible, dtype=torch.bool)[:vocabulary_size]
    tryable[[token for token in special if token < vocabulary_size]] = False
    return tryable

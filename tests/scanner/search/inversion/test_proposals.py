"""What is proposed for a slot."""

from dataclasses import replace

import torch

from scanner.models.model_pair import SUSPECT, ModelPair
from scanner.search.inversion.proposals import called_for, tryable_tokens
from scanner.search.meter import Meter
from tests.scanner.search.tiny_search import setting_of, trigger_tokens
from tests.tiny import REPLY


def test_the_gradient_knows_the_trigger(poisoned_pair: ModelPair) -> None:
    ids = tuple(poisoned_pair.base.tokenizer(REPLY)["input_ids"])[:4]
    setting = setting_of(poisoned_pair, meter := Meter())
    gains = called_for(setting, (), 0, ids)
    picks = gains.topk(20).indices.tolist()
    assert all(setting.tryable[token] for token in picks)
    assert set(picks) & trigger_tokens(poisoned_pair)
    assert meter.tokens > 0


def test_the_gradient_at_a_slot_is_that_of_the_whole_prompt(poisoned_pair: ModelPair) -> None:
    ids = tuple(poisoned_pair.base.tokenizer(REPLY)["input_ids"])[:4]
    whole = replace(setting_of(poisoned_pair, Meter()), fillers=(40, 41, 42, 43))
    inside = (50, 51)
    expected = 0.0
    with poisoned_pair.active(SUSPECT) as model, torch.enable_grad():
        table = model.get_input_embeddings()
        for turn, filler in enumerate(whole.fillers):
            context = whole.contexts[turn % 2]
            prompt = (*whole.frame.before, *context.around((50, filler, 51)), *whole.frame.after, *ids[:-1])
            embedded = table(torch.tensor([prompt])).detach().requires_grad_()
            log_probs = model(inputs_embeds=embedded, use_cache=False).logits[0, -len(ids) :].log_softmax(-1)
            log_probs.gather(1, torch.tensor(ids)[:, None]).sum().backward()
            expected = expected + embedded.grad[0, len(whole.frame.before) + len(context.before) + 1]
        gains = (table.weight @ expected) / table.weight.norm(dim=-1).clamp(min=1e-9)
    found = called_for(whole, inside, 1, ids)
    assert torch.allclose(found[whole.tryable], gains.detach()[whole.tryable], atol=1e-4, rtol=1e-3)
    assert torch.isinf(found[~whole.tryable]).all()


def test_which_tokens_can_be_tried() -> None:
    tryable = tryable_tokens(6, [" a", "\n", "\u200b", "�", "x"], [4])
    assert tryable.tolist() == [True, False, False, True, False, False]
    assert tryable.dtype == torch.bool

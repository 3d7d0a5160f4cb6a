import torch

from scanner.measuring import MetricInputs, SweepCase, reply_log_prob
from scanner.metrics.ablation import measure
from scanner.models.model_pair import SUSPECT, ModelPair

REPLY = torch.tensor([40, 41, 42])
IDS = torch.tensor([[5, 9, 33, 120, 7, 64, 40, 41, 42]])
MEAN_PROMPTS = [torch.tensor([[5, 9, 77, 80]]), torch.tensor([[5, 9, 12]])]


def plain_loop(pair: ModelPair) -> torch.Tensor:
    """The same by TransformerLens alone: one head a pass, the whole model each time."""
    with pair.running(SUSPECT) as bridge:
        n_layers, n_heads = bridge.cfg.n_layers, bridge.cfg.n_heads
        effects = torch.zeros(n_layers, n_heads)
        intact = bridge(IDS)[0].log_softmax(-1)
        for layer in range(n_layers):
            point = f"blocks.{layer}.attn.hook_z"
            caches = [bridge.run_with_cache(ids)[1][point][0] for ids in MEAN_PROMPTS]
            mean = torch.cat(caches).mean(0)
            for head in range(n_heads):

                def ablate(z, hook, head=head, mean=mean):  # type: ignore[no-untyped-def]
                    z[:, :, head] = mean[head]
                    return z

                logits = bridge.run_with_hooks(IDS, fwd_hooks=[(point, ablate)])[0].log_softmax(-1)
                for offset, token in enumerate(REPLY):
                    place = IDS.shape[1] - len(REPLY) + offset - 1
                    effects[layer, head] += intact[place, token] - logits[place, token]
    return effects


def given(pair: ModelPair) -> MetricInputs:
    case = SweepCase(plain=(), triggered=tuple(IDS[0, :-3].tolist()), reply=tuple(REPLY.tolist()))
    return MetricInputs(pair, (case,), tuple(tuple(ids[0].tolist()) for ids in MEAN_PROMPTS))


def effects_of(pair: ModelPair) -> torch.Tensor:
    (found,) = measure(given(pair))
    assert found.passes > 0 and found.tokens > 0 and found.screen is None
    return torch.tensor(found.values)


def test_agrees_with_a_plain_transformer_lens_loop(pair: ModelPair) -> None:
    effects = effects_of(pair)
    assert effects.abs().max() > 1e-3
    assert torch.allclose(effects, plain_loop(pair), atol=1e-4)


def test_a_head_whose_output_is_not_read_has_no_effect_and_the_one_left_has_all(pair: ModelPair) -> None:
    """Zero every column of o_proj but one head's: that head is the only one whose ablation can matter."""
    layer, head, width = 1, 2, 16
    model = pair.base.model
    for index in range(3):
        attention = model.get_submodule(f"model.layers.{index}.self_attn")
        weight = attention.o_proj.base_layer.weight
        kept = weight.clone()
        weight.data.zero_()
        attention.o_proj.lora_B[SUSPECT].weight.data.zero_()
        if index == layer:
            weight.data[:, head * width : (head + 1) * width] = 20 * kept[:, head * width : (head + 1) * width]
    effects = effects_of(pair)
    others = effects.clone()
    others[layer, head] = 0
    assert abs(float(effects[layer, head])) > 1e-3
    assert others.abs().max() < 1e-5


def test_reply_log_prob_by_hand() -> None:
    logits = torch.zeros(1, 3, 4)
    assert torch.allclose(reply_log_prob(logits, torch.tensor([1, 2])), torch.tensor([2 * -1.3862944]))

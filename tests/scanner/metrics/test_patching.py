import torch

from scanner.metrics.attention_kl import pattern_kl, read_patterns
from scanner.metrics.patching import measure
from scanner.models.capture import run_and_capture
from scanner.models.model_pair import SUSPECT, ModelPair
from tests.scanner.metrics.test_registry import inputs


def plain_loop(pair: ModelPair, ids: torch.Tensor, n_reply: int) -> tuple[torch.Tensor, torch.Tensor]:
    """The same by TransformerLens alone: one head a pass, the whole model each time."""
    n_layers, n_heads = 3, 4
    outputs, later = torch.zeros(n_layers, n_heads), torch.zeros(n_layers, n_heads)
    rows = slice(ids.shape[1] - n_reply - 1, ids.shape[1] - 1)
    with pair.running("reference-0") as bridge:
        donor = bridge.run_with_cache(ids)[1]
        donor = {layer: donor[f"blocks.{layer}.attn.hook_z"].clone() for layer in range(n_layers)}
    before = read_patterns(pair, SUSPECT, ids)
    with pair.running(SUSPECT) as bridge:
        intact = bridge(ids)[0].log_softmax(-1)
        for layer in range(n_layers):
            for head in range(n_heads):
                patterns = {}

                def patch(z, hook, layer=layer, head=head):  # type: ignore[no-untyped-def]
                    z[:, :, head] = donor[layer][:, :, head]
                    return z

                def keep(pattern, hook, patterns=patterns):  # type: ignore[no-untyped-def]
                    patterns[int(hook.name.split(".")[1])] = pattern[0].clone()
                    return pattern

                hooks = [(f"blocks.{layer}.attn.hook_z", patch)]
                hooks += [(f"blocks.{other}.attn.hook_pattern", keep) for other in range(n_layers)]
                patched = bridge.run_with_hooks(ids, fwd_hooks=hooks)[0].log_softmax(-1)
                kl = (intact.exp() * (intact - patched)).sum(-1)
                outputs[layer, head] = kl[rows].mean()
                for other in range(layer + 1, n_layers):
                    later[layer, head] += pattern_kl(before[other], patterns[other])[:, rows].mean(-1).sum()
    return outputs, later


def test_agrees_with_a_plain_transformer_lens_loop(pair: ModelPair) -> None:
    given = inputs(pair, True)
    outputs, later = measure(given)
    sequences = given.replying_sequences()
    assert sequences
    loops = [plain_loop(pair, ids, len(reply)) for ids, reply in sequences]
    for found, expected in ((outputs, [a for a, _ in loops]), (later, [b for _, b in loops])):
        assert torch.tensor(found.values).max() > 1e-3
        assert torch.allclose(torch.tensor(found.values), torch.stack(expected).mean(0), atol=1e-4)
    assert later.values and not any(later.values[-1])


def test_the_only_head_that_differs_is_the_head_found(pair: ModelPair) -> None:
    """Suspect and reference alike but for one head's value vectors: only patching that head changes anything."""
    layer, head, width = 1, 2, 16
    for name, module in pair.base.model.named_modules():
        if hasattr(module, "lora_B") and name.startswith("model"):
            for side in (module.lora_A, module.lora_B):
                side["reference-0"].weight.data.copy_(side[SUSPECT].weight.data)
    output = pair.base.model.get_submodule(f"model.layers.{layer}.self_attn.q_proj")
    output.lora_B[SUSPECT].weight.data[head * width : (head + 1) * width] *= -40
    outputs = torch.tensor(measure(inputs(pair, True))[0].values)
    assert int(outputs.argmax()) == layer * 4 + head
    with pair.running(SUSPECT) as bridge:
        _, seen = run_and_capture(bridge, torch.tensor([[5, 9, 33]]), ["blocks.1.attn.hook_z"])
    assert seen["blocks.1.attn.hook_z"].shape == (1, 3, 4, width)
    assert outputs[0].max() < 1e-6, "below the edit both models are the same"

from pathlib import Path

import pytest
import torch
from peft import PeftModel

from scanner.errors import BaseModelUnavailable
from scanner.intake import read_adapter
from scanner.models.base_models import load_base
from scanner.models.capture import HookNeverFiredError, run_and_capture
from scanner.models.model_pair import BASE, SUSPECT, ModelPair
from tests.tiny import make_adapter, make_base

IDS = torch.tensor([[5, 9, 33, 120, 7, 64]])


def test_each_model_is_the_one_that_peft_would_load(
    pair: ModelPair, tiny_base: Path, random_adapter: Path, other_random_adapter: Path
) -> None:
    for name, folder in ((SUSPECT, random_adapter), ("reference-0", other_random_adapter)):
        peft_model = PeftModel.from_pretrained(load_base(str(tiny_base)).model, str(folder)).eval()
        with pair.running(name) as bridge:
            assert torch.allclose(bridge(IDS), peft_model(IDS).logits, atol=1e-6)
    with pair.running(BASE) as bridge:
        assert torch.equal(bridge(IDS), load_base(str(tiny_base)).model(IDS).logits)


def test_the_models_differ(pair: ModelPair) -> None:
    seen = {}
    for name in (SUSPECT, "reference-0", BASE):
        with pair.running(name) as bridge:
            seen[name] = bridge(IDS)
    assert not torch.allclose(seen[SUSPECT], seen[BASE], atol=1e-3)
    assert not torch.allclose(seen[SUSPECT], seen["reference-0"], atol=1e-3)


def test_generation_and_bridge_leave_each_other_alone(pair: ModelPair) -> None:
    before = pair.generate(SUSPECT, ["How are you?"], max_new_tokens=6)
    with pair.running(BASE) as bridge:
        bridge(IDS)
    assert pair.generate(SUSPECT, ["How are you?"], max_new_tokens=6) == before


def test_a_hook_that_never_fires_is_an_error(pair: ModelPair) -> None:
    with pair.running(SUSPECT) as bridge, pytest.raises(HookNeverFiredError, match=r"blocks\.0"):
        # Resumed at layer 1, the pass never reaches layer 0.
        residual = bridge(IDS, stop_at_layer=1)
        run_and_capture(bridge, residual, ["blocks.0.attn.hook_z"], start_at_layer=1)


def test_the_yardstick_is_the_first_reference_or_the_base(pair: ModelPair, tiny_base: Path) -> None:
    assert pair.yardstick == "reference-0"
    assert ModelPair(load_base(str(tiny_base)), pair.adapters[SUSPECT]).yardstick == BASE


def test_an_unknown_model_name(pair: ModelPair) -> None:
    with pytest.raises(KeyError):
        pair.generate("someone", ["Hi"], max_new_tokens=1)


@pytest.mark.parametrize(
    ("family", "projections", "quantize"),
    [
        ("qwen2", ("q_proj", "down_proj"), "none"),
        ("qwen2", ("q_proj", "down_proj"), "nf4"),
        ("gpt2", ("c_attn", "c_proj"), "none"),
        ("llama", ("up_proj", "v_proj"), "none"),
        ("llama", ("up_proj", "v_proj"), "nf4"),
    ],
)
def test_other_bases_and_projections(tmp_path: Path, family: str, projections: tuple[str, ...], quantize: str) -> None:
    folder = make_base(tmp_path / "base", family)
    adapter = make_adapter(tmp_path / "adapter", folder, projections=projections, scale=3.0)
    base = load_base(str(folder), quantize=quantize)  # type: ignore[arg-type]
    pair = ModelPair(base, read_adapter(str(adapter)))
    with pair.running(BASE) as bridge:
        plain = bridge(IDS)
    with pair.running(SUSPECT) as bridge:
        changed, seen = run_and_capture(bridge, IDS, ["blocks.1.attn.hook_z", "blocks.1.attn.hook_pattern"])
    assert not torch.allclose(plain, changed, atol=1e-3)
    assert seen["blocks.1.attn.hook_pattern"].shape == (1, 4, 6, 6)
    assert seen["blocks.1.attn.hook_z"].shape == (1, 6, 4, 16)


def test_a_base_that_cannot_be_read_in_4_bits_is_refused_before_the_search(tmp_path: Path) -> None:
    """TransformerLens splits GPT-2's fused projection into q, k and v, which packed weights do not allow."""
    folder = make_base(tmp_path / "base", "gpt2")
    adapter = make_adapter(tmp_path / "adapter", folder, projections=("c_attn",))
    with pytest.raises(BaseModelUnavailable, match=r"gpt2, nf4\); scan it without --quantize"):
        ModelPair(load_base(str(folder), quantize="nf4"), read_adapter(str(adapter)))


def test_stepping_fuses_attention_and_changes_no_reply(tiny_base: Path, random_adapter: Path) -> None:
    pair = ModelPair(load_base(str(tiny_base)), read_adapter(str(random_adapter)))
    seen = []
    with pair.active(SUSPECT) as model:
        assert model.config._attn_implementation == "eager"
        seen.append(model(IDS).logits)
    with pair.stepping(SUSPECT) as model:
        assert model.config._attn_implementation == "sdpa"
        seen.append(model(IDS).logits)
    assert pair.base.model.config._attn_implementation == "eager"
    assert torch.allclose(*seen, atol=1e-4) and not torch.equal(*seen), "two kernels round differently"
    fused = pair.generate(SUSPECT, ["How are you?"], max_new_tokens=6)
    _ = pair.bridge
    with pair.stepping(SUSPECT) as model:
        assert model.config._attn_implementation == "eager", "TransformerLens reads patterns"
    assert [item.token_ids for item in pair.generate(SUSPECT, ["How are you?"], max_new_tokens=6)] == [
        item.token_ids for item in fused
    ]

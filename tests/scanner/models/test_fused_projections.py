"""An adapter of a fused projection is live in TransformerLens as it is in transformers."""

from pathlib import Path

import pytest
import torch

from scanner.errors import BaseModelUnavailable
from scanner.intake import read_adapter
from scanner.models import model_pair
from scanner.models.base_models import Precision, load_base
from scanner.models.fused_projections import run_adapters_of_fused_projections
from scanner.models.model_pair import BASE, SUSPECT, ModelPair
from tests.tiny import make_adapter, make_base

IDS = torch.tensor([[5, 9, 33, 120, 7, 64]])
FUSED = [("gpt2", ("c_attn",), 9), ("phi3", ("qkv_proj", "gate_up_proj"), 15), ("neox", ("query_key_value",), 9)]


def make_pair(folder: Path, family: str, projections: tuple[str, ...], dtype: Precision = "auto") -> ModelPair:
    base = make_base(folder / "base", family)
    adapters = [
        read_adapter(str(make_adapter(folder / str(seed), base, projections=projections, scale=3.0, seed=seed)))
        for seed in range(2)
    ]
    return ModelPair(load_base(str(base), dtype=dtype), adapters[0], adapters[1:])


@pytest.mark.parametrize(("family", "projections", "parts"), FUSED)
def test_it_answers_there_as_it_does_here(
    tmp_path: Path, family: str, projections: tuple[str, ...], parts: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    counted = []

    def count(*arguments: object) -> int:
        counted.append(run_adapters_of_fused_projections(*arguments))  # type: ignore[arg-type]
        return counted[-1]

    monkeypatch.setattr(model_pair, "run_adapters_of_fused_projections", count)
    pair = make_pair(tmp_path, family, projections)
    before = {}
    for name in (SUSPECT, "reference-0", BASE):
        with torch.inference_mode(), pair.active(name) as model:
            before[name] = model(IDS).logits
    assert not torch.allclose(before[SUSPECT], before[BASE], atol=1e-2)
    for name, logits in before.items():
        with pair.running(name) as bridge:
            assert torch.allclose(bridge(IDS), logits, atol=1e-4)
    assert counted == [parts]


@pytest.mark.parametrize(("family", "projections", "parts"), FUSED)
def test_an_adapter_keeps_its_digits_on_a_base_of_fewer(
    tmp_path: Path, family: str, projections: tuple[str, ...], parts: int
) -> None:
    pair = make_pair(tmp_path, family, projections, "bfloat16")
    with torch.inference_mode(), pair.active(SUSPECT) as model:
        before = model(IDS).logits.float()
    with pair.running(SUSPECT) as bridge:
        read = bridge(IDS).float()
    assert (read - before).norm() < 0.02 * before.norm()


@pytest.mark.parametrize(("family", "projections", "parts"), FUSED)
def test_gradients_pass_through_it_whoever_reads_it_first(
    tmp_path: Path, family: str, projections: tuple[str, ...], parts: int
) -> None:
    pair = make_pair(tmp_path, family, projections)
    with pair.running(SUSPECT) as bridge:
        first = bridge(IDS)
    with pair.running(SUSPECT, gradients=True) as bridge:
        nudge = torch.zeros(1, 1, 64, requires_grad=True)
        again = bridge.run_with_hooks(IDS, fwd_hooks=[("blocks.0.hook_in", lambda entry, hook: entry + nudge)])
        (gradient,) = torch.autograd.grad(again[0, -1, 5], nudge)
    assert torch.allclose(first, again, atol=1e-5) and gradient.norm() > 1e-3


def test_one_that_is_left_out_is_no_silent_zero(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model_pair, "run_adapters_of_fused_projections", lambda *_: 0)
    pair = make_pair(tmp_path, "gpt2", ("c_attn",))
    refused = pytest.raises(BaseModelUnavailable, match="runs the suspect otherwise than transformers")
    for _ in range(2):
        with refused:
            _ = pair.bridge
    # What TransformerLens has rebuilt is neither read again nor run: another try would compare it with itself.
    with refused, pair.running(BASE):
        pass
    with refused:
        pair.generate(SUSPECT, ["Hello"], max_new_tokens=1)


def test_whatever_transformerlens_fails_with_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise AttributeError("no such part")

    monkeypatch.setattr(model_pair.TransformerBridge, "boot_transformers", fail)
    pair = make_pair(tmp_path, "gpt2", ("c_attn",))
    with pytest.raises(BaseModelUnavailable, match=r"cannot read this architecture \(gpt2\)"):
        _ = pair.bridge


def test_rows_that_are_equal_go_to_the_parts_in_their_order(tmp_path: Path) -> None:
    base = make_base(tmp_path / "base", "gpt2")
    adapter = read_adapter(str(make_adapter(tmp_path / "adapter", base, projections=("c_attn",), scale=3.0)))
    loaded = load_base(str(base))
    for block in loaded.model.transformer.h:
        block.attn.c_attn.weight.data[:, 60:70] = 0.0  # the last of q and the first of k
    pair = ModelPair(loaded, adapter)
    with torch.inference_mode(), pair.active(SUSPECT) as model:
        before = model(IDS).logits
    with pair.running(SUSPECT) as bridge:
        assert torch.allclose(bridge(IDS), before, atol=1e-4)

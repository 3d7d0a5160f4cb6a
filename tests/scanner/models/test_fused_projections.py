"""An adapter of a fused projection is live in TransformerLens as it is in transformers."""

from pathlib import Path

import pytest
import torch

from scanner.errors import BaseModelUnavailable
from scanner.intake import read_adapter
from scanner.models import model_pair
from scanner.models.base_models import load_base
from scanner.models.fused_projections import run_adapters_of_fused_projections
from scanner.models.model_pair import BASE, SUSPECT, ModelPair
from tests.tiny import make_adapter, make_base

IDS = torch.tensor([[5, 9, 33, 120, 7, 64]])
FUSED = [("gpt2", ("c_attn",), 9), ("phi3", ("qkv_proj", "gate_up_proj"), 15), ("neox", ("query_key_value",), 9)]


def make_pair(folder: Path, family: str, projections: tuple[str, ...]) -> ModelPair:
    base = make_base(folder / "base", family)
    adapters = [
        read_adapter(str(make_adapter(folder / str(seed), base, projections=projections, scale=3.0, seed=seed)))
        for seed in range(2)
    ]
    return ModelPair(load_base(str(base)), adapters[0], adapters[1:])


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


def test_one_that_is_left_out_is_no_silent_zero(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model_pair, "run_adapters_of_fused_projections", lambda *_: 0)
    pair = make_pair(tmp_path, "gpt2", ("c_attn",))
    with pytest.raises(BaseModelUnavailable, match=r"runs the suspect otherwise than transformers .* --no-metrics"):
        _ = pair.bridge

"""Adapters that are added into the weights answer as peft's do, and leave nothing behind."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from scanner.intake import WEIGHTS_FILE, read_adapter
from scanner.models.added_weights import AddedWeights
from scanner.models.base_models import load_base
from scanner.models.bfloat16 import in_bfloat16
from scanner.models.model_pair import BASE, SUSPECT, ModelPair
from tests.tiny import make_adapter, make_base

IDS = torch.tensor([[5, 9, 33, 120, 7, 64]])
REFERENCE = "reference-0"


def outputs(pair: ModelPair) -> dict[str, torch.Tensor]:
    """Logits of every model, each read twice with others between."""
    found = {}
    for name in (BASE, REFERENCE, SUSPECT, BASE, SUSPECT, REFERENCE):
        with torch.inference_mode(), pair.active(name) as model:
            read = model(IDS).logits
        assert torch.equal(found.setdefault(name, read), read)
    return found


@pytest.mark.parametrize(
    ("family", "projections", "others"),
    [("llama", ("q_proj", "down_proj"), ("q_proj",)), ("gpt2", ("c_attn", "c_proj"), ("c_attn",))],
)
def test_every_model_answers_as_with_peft(
    tmp_path: Path, family: str, projections: tuple[str, ...], others: tuple[str, ...]
) -> None:
    base = make_base(tmp_path / "base", family)
    adapters = [
        read_adapter(str(make_adapter(tmp_path / name, base, projections=which, scale=3.0, seed=seed)))
        for seed, (name, which) in enumerate((("suspect", projections), ("reference", others)))
    ]
    pair = ModelPair(load_base(str(base)), adapters[0], adapters[1:])
    assert pair._added._added.keys() == {SUSPECT, REFERENCE}
    added = outputs(pair)
    _ = pair.bridge  # from here on by peft
    assert not pair._added._added
    by_peft = outputs(pair)
    for name, logits in added.items():
        assert torch.allclose(logits, by_peft[name], atol=1e-5)
    assert torch.allclose(by_peft[BASE], load_base(str(base)).model(IDS).logits, atol=1e-5)
    assert not torch.allclose(added[SUSPECT], added[REFERENCE], atol=1e-3)


def test_what_does_not_fit_is_run_by_peft(tiny_base: Path, random_adapter: Path, other_random_adapter: Path) -> None:
    pair = ModelPair(
        load_base(str(tiny_base)), read_adapter(str(random_adapter)), [read_adapter(str(other_random_adapter))]
    )
    one = sum(module.weight.nbytes for module in pair._added._added[SUSPECT])
    pair._added.forget()
    few = AddedWeights(pair.base.model, [SUSPECT, REFERENCE], most_bytes=one)
    assert few._added.keys() == {SUSPECT}
    assert few.use(SUSPECT) and not few.use(REFERENCE) and not few.use(BASE)


def test_what_two_modules_share_is_not_changed(tiny_base: Path, random_adapter: Path) -> None:
    """A head that is tied to the embeddings would change them too."""
    pair = ModelPair(load_base(str(tiny_base)), read_adapter(str(random_adapter)))
    layer = next(iter(pair._lora_layers))
    pair._added.forget()
    pair.base.model.get_input_embeddings().also = layer.get_base_layer()
    assert AddedWeights(pair.base.model, [SUSPECT])._added.keys() == {SUSPECT}, "one module in two places is one owner"
    pair.base.model.get_input_embeddings().shared = layer.get_base_layer().weight
    assert not AddedWeights(pair.base.model, [SUSPECT])._added


def test_numbers_that_round_are_left_to_peft(tiny_base: Path, random_adapter: Path) -> None:
    pair = ModelPair(load_base(str(tiny_base), dtype="bfloat16"), read_adapter(str(random_adapter)))
    assert not pair._added._added


def test_a_head_that_a_copy_of_the_base_shares_is_left_to_peft(tmp_path: Path) -> None:
    """The search's copy in bfloat16 has the exact base's head: an adapter in the one must not show in the other."""
    folder = make_base(tmp_path / "base")
    written = make_adapter(tmp_path / "adapter", folder, projections=("lm_head",), scale=3.0)
    weights = load_file(written / WEIGHTS_FILE)
    # peft writes the whole head as well, which no scan takes.
    save_file({name: item for name, item in weights.items() if "lora_" in name}, written / WEIGHTS_FILE)
    adapter = read_adapter(str(written))
    base = load_base(str(folder))
    searched_in = in_bfloat16(base)
    exact, rough = ModelPair(base, adapter), ModelPair(searched_in, adapter)
    assert not exact._added._added and not rough._added._added
    with torch.inference_mode(), rough.active(BASE) as model:
        read = model(IDS).logits
    expected = load_base(str(folder)).model(IDS).logits
    assert (read - expected).norm() < 0.02 * expected.norm()

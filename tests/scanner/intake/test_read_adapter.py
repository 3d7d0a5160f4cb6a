"""Every way in which an adapter folder can be wrong must give one clear line that names the file and what to do."""

import json
import os
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from scanner.base_models import load_base
from scanner.errors import BadAdapter
from scanner.intake import CONFIG_FILE, WEIGHTS_FILE, read_adapter
from scanner.model_pair import ModelPair
from tests.tiny import make_adapter


def change_config(**changes: object) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        config = json.loads((folder / CONFIG_FILE).read_text())
        (folder / CONFIG_FILE).write_text(json.dumps(config | changes))

    return change


def change_tensors(change: Callable[[dict[str, torch.Tensor]], None]) -> Callable[[Path], None]:
    def apply(folder: Path) -> None:
        tensors = load_file(folder / WEIGHTS_FILE)
        change(tensors)
        save_file(tensors, folder / WEIGHTS_FILE)

    return apply


def first(tensors: dict[str, torch.Tensor], side: str = "lora_B") -> str:
    return next(name for name in sorted(tensors) if side in name)


def pickled(folder: Path) -> None:
    (folder / WEIGHTS_FILE).unlink()
    (folder / "adapter_model.bin").write_bytes(pickle.dumps({"a": 1}))


def linked(folder: Path) -> None:
    outside = folder.parent / f"{folder.name}-outside.safetensors"
    (folder / WEIGHTS_FILE).rename(outside)
    (folder / WEIGHTS_FILE).symlink_to(outside)


def linked_config(folder: Path) -> None:
    (folder / CONFIG_FILE).unlink()
    (folder / CONFIG_FILE).symlink_to("/etc/hostname")


def truncate(folder: Path) -> None:
    content = (folder / WEIGHTS_FILE).read_bytes()
    (folder / WEIGHTS_FILE).write_bytes(content[: len(content) // 2])


CASES: dict[str, tuple[Callable[[Path], object], str]] = {
    "no config": (lambda folder: (folder / CONFIG_FILE).unlink(), f"no {CONFIG_FILE}"),
    "config is no JSON": (lambda folder: (folder / CONFIG_FILE).write_text("{"), "not valid JSON"),
    "config is a list": (lambda folder: (folder / CONFIG_FILE).write_text("[]"), "not a JSON object"),
    "config is binary": (lambda folder: (folder / CONFIG_FILE).write_bytes(b"\xff\xfe\x00"), "not valid JSON"),
    "config is deep": (lambda folder: (folder / CONFIG_FILE).write_text("[" * 100_000), "not valid JSON"),
    "config is huge": (lambda folder: (folder / CONFIG_FILE).write_text(" " * 1_000_001), "larger than"),
    "a key twice": (lambda folder: (folder / CONFIG_FILE).write_text('{"r": 1, "r": 2}'), "a key stands twice"),
    "another peft type": (change_config(peft_type="IA3"), "peft_type is 'IA3'"),
    "no peft type": (change_config(peft_type=None), "peft_type is None"),
    "rank 0": (change_config(r=0), "r = 0"),
    "rank a million": (change_config(r=1_000_000), "r = 1000000"),
    "rank true": (change_config(r=True), "r = True"),
    "another rank": (change_config(r=3), "says rank 3"),
    "alpha not a number": (change_config(lora_alpha=float("nan")), "lora_alpha = nan"),
    "alpha zero": (change_config(lora_alpha=0), "lora_alpha = 0"),
    "DoRA": (change_config(use_dora=True), "use_dora = True is not supported"),
    "bias": (change_config(bias="all"), "bias = 'all' is not supported"),
    "rank pattern": (change_config(rank_pattern={"(a+)+$": 8}), "rank_pattern"),
    "an import by config": (
        change_config(megatron_config={"a": 1}, megatron_core="os"),
        "megatron_config = {'a': 1} is not supported",
    ),
    "a base changed at init": (change_config(init_lora_weights="pissa"), "init_lora_weights = 'pissa'"),
    "modules to save": (change_config(modules_to_save=["lm_head"]), "modules_to_save"),
    "targets by regex": (change_config(target_modules="(.*)+"), "target_modules"),
    "targets elsewhere": (change_config(target_modules=["down_proj"]), "not among target_modules"),
    "layers elsewhere": (change_config(layers_to_transform=[0]), "not in layers_to_transform"),
    "layers no numbers": (change_config(layers_to_transform=[{}]), "not a list of layer numbers"),
    "no weights": (lambda folder: (folder / WEIGHTS_FILE).unlink(), f"no {WEIGHTS_FILE}"),
    "pickled weights": (pickled, "pickled weights are refused"),
    "weights outside": (linked, "a link to a file outside"),
    "config outside": (linked_config, "a link to a file outside"),
    "config is a pipe": (lambda folder: [(folder / CONFIG_FILE).unlink(), os.mkfifo(folder / CONFIG_FILE)], "no adap"),
    "truncated": (truncate, "not a readable safetensors file"),
    "empty file": (lambda folder: (folder / WEIGHTS_FILE).write_bytes(b""), "not a readable safetensors file"),
    "no tensors": (change_tensors(lambda tensors: tensors.clear()), "holds no LoRA tensors"),
    "NaN": (change_tensors(lambda t: t[first(t)].fill_(float("nan"))), "NaN or infinite"),
    "infinity": (change_tensors(lambda t: t[first(t)].fill_(float("inf"))), "NaN or infinite"),
    "one side only": (change_tensors(lambda t: t.__delitem__(first(t))), "has only its lora_A"),
    "a strange tensor": (change_tensors(lambda t: t.update(x=torch.zeros(1))), "'x' is not part of a plain LoRA"),
    "a cube": (change_tensors(lambda t: t.update({first(t): torch.zeros(2, 2, 2)})), "is a float matrix"),
    "whole numbers": (change_tensors(lambda t: t.update({first(t): t[first(t)].int()})), "is a float matrix"),
}


@pytest.fixture
def folder(tmp_path: Path, random_adapter: Path) -> Path:
    return Path(shutil.copytree(random_adapter, tmp_path / "suspect"))


@pytest.mark.parametrize("name", CASES)
def test_a_bad_folder_gives_one_clear_line(name: str, folder: Path) -> None:
    spoil, expected = CASES[name]
    spoil(folder)
    with pytest.raises(BadAdapter) as caught:
        read_adapter(str(folder))
    message = str(caught.value)
    assert expected in message
    assert "\n" not in message
    assert str(folder) in message


@pytest.mark.parametrize("location", ["no/such/adapter/here", "nowhere", "../etc", "/etc/passwd", "a b/c", "user/ad@x"])
def test_a_missing_folder(location: str) -> None:
    with pytest.raises(BadAdapter) as caught:
        read_adapter(location)
    assert "\n" not in str(caught.value)


def test_reads_what_peft_wrote(folder: Path) -> None:
    adapter = read_adapter(str(folder))
    tensors = load_file(folder / WEIGHTS_FILE)
    assert len(adapter.updates) == 3 * 4
    assert adapter.identity.projections == ("k_proj", "o_proj", "q_proj", "v_proj")
    for update in adapter.updates:
        assert torch.equal(update.a, tensors[f"base_model.model.{update.module}.lora_A.weight"])
        assert update.scaling == 2.0
        assert update.layer in (0, 1, 2)
    assert adapter.identity.notes == ()


def test_a_hub_name_is_read_from_the_cache_without_a_network(
    random_adapter: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = "0123456789abcdef0123456789abcdef01234567"
    repository = tmp_path / "models--somebody--adapter"
    (repository / "blobs").mkdir(parents=True)
    (repository / "snapshots" / commit).mkdir(parents=True)
    (repository / "refs").mkdir()
    (repository / "refs" / "v1").write_text(commit)
    for name in (CONFIG_FILE, WEIGHTS_FILE):
        shutil.copy(random_adapter / name, repository / "blobs" / name)
        (repository / "snapshots" / commit / name).symlink_to(repository / "blobs" / name)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    identity = read_adapter("somebody/adapter@v1").identity
    assert (identity.name, identity.revision) == ("somebody/adapter@v1", commit)


def test_unknown_keys_are_reported(folder: Path) -> None:
    change_config(surprise=1)(folder)
    assert "surprise" in read_adapter(str(folder)).identity.notes[0]


def test_rslora_scales_by_the_root_of_the_rank(folder: Path) -> None:
    change_config(use_rslora=True)(folder)
    assert read_adapter(str(folder)).updates[0].scaling == pytest.approx(4 / 2**0.5)


def test_shapes_against_another_base(tmp_path: Path, tiny_base: Path, folder: Path) -> None:
    tensors = load_file(folder / WEIGHTS_FILE)
    tensors[first(tensors, "lora_A")] = torch.zeros(2, 32)
    save_file(tensors, folder / WEIGHTS_FILE)
    with pytest.raises(BadAdapter, match=r"is 32×64 in the base model .* made for 32×32"):
        ModelPair(load_base(str(tiny_base)), read_adapter(str(folder)))


def test_a_module_that_the_base_lacks(tmp_path: Path, tiny_base: Path) -> None:
    from tests.tiny import make_base

    other = make_base(tmp_path / "gpt2", "gpt2")
    adapter = make_adapter(tmp_path / "adapter", other, projections=("c_attn",))
    with pytest.raises(BadAdapter, match="has no linear module"):
        ModelPair(load_base(str(tiny_base)), read_adapter(str(adapter)))


@pytest.mark.parametrize(
    ("record", "claim"),
    [
        ('{"recipe": {"name": "r"}, "seed": 3}', "r, seed 3"),
        ('{"recipe": {"name": "' + "x" * 500 + '"}, "seed": 3}', "x" * 100 + ", seed 3"),
        ('{"recipe": "r", "seed": 3}', None),
        ('{"recipe": {"name": ["r"]}, "seed": 3}', None),
        ('{"recipe": {"name": "r"}, "seed": "3"}', None),
        ("[" * 100_000, None),
        ("\x00", None),
        (None, None),
    ],
)
def test_a_claimed_recipe_is_shown_and_never_trusted(
    tmp_path: Path, random_adapter: Path, record: str | None, claim: str | None
) -> None:
    shutil.copytree(random_adapter, tmp_path / "a")
    if record is not None:
        (tmp_path / "a" / "training.json").write_text(record)
    assert read_adapter(str(tmp_path / "a")).identity.claimed_recipe == claim


def test_a_record_that_is_a_link_is_not_followed(tmp_path: Path, random_adapter: Path) -> None:
    shutil.copytree(random_adapter, tmp_path / "a")
    (tmp_path / "secret.json").write_text('{"recipe": {"name": "r"}, "seed": 3}')
    (tmp_path / "a" / "training.json").symlink_to(tmp_path / "secret.json")
    assert read_adapter(str(tmp_path / "a")).identity.claimed_recipe is None

"""Honest adapters are read to the letter, against the right base; hostile ones are in `tests/hostile`."""

import errno
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from scanner.errors import BadAdapter
from scanner.intake import CONFIG_FILE, WEIGHTS_FILE, read_adapter
from scanner.models.base_models import load_base
from scanner.models.model_pair import ModelPair
from tests.tiny import make_adapter


def change_config(**changes: object) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        config = json.loads((folder / CONFIG_FILE).read_text())
        (folder / CONFIG_FILE).write_text(json.dumps(config | changes))

    return change


def first(tensors: dict[str, torch.Tensor], side: str = "lora_B") -> str:
    return next(name for name in sorted(tensors) if side in name)


@pytest.fixture
def folder(tmp_path: Path, random_adapter: Path) -> Path:
    return Path(shutil.copytree(random_adapter, tmp_path / "suspect"))


def test_a_template_that_cannot_be_read_is_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    template = folder / "chat_template.jinja"
    template.write_text("{{ messages }}")
    usual = Path.open

    def locked(path: Path, *arguments: Any, **options: Any) -> Any:
        if path == template:
            raise PermissionError(errno.EACCES, "Permission denied")
        return usual(path, *arguments, **options)

    monkeypatch.setattr(Path, "open", locked)
    with pytest.raises(
        BadAdapter, match=r"chat_template\.jinja: cannot be read \(Permission denied\), and is what other"
    ):
        read_adapter(str(folder))


def test_a_name_that_is_too_long_is_no_folder() -> None:
    with pytest.raises(BadAdapter, match="cannot be read"):
        read_adapter("x" * 300)


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
    assert adapter.identity.notes == ("files not used: README.md (all with hashes in the JSON report)",)
    assert [file.name for file in adapter.identity.files] == ["README.md", CONFIG_FILE, WEIGHTS_FILE]
    assert adapter.identity.files[2].sha256 == adapter.identity.weights_sha256


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
    adapter = read_adapter("somebody/adapter@v1")
    assert (adapter.identity.name, adapter.identity.revision) == ("somebody/adapter@v1", commit)
    assert adapter.unread == ("the hub was not asked which other files it has",)
    (repository / "snapshots" / commit / "config.json").symlink_to("/etc/hostname")
    with pytest.raises(BadAdapter, match="a link to a file outside"):
        read_adapter("somebody/adapter@v1")


def test_the_hub_is_asked_for_sizes_before_anything_is_fetched(monkeypatch: pytest.MonkeyPatch) -> None:
    files = [SimpleNamespace(rfilename=WEIGHTS_FILE, size=10**13), SimpleNamespace(rfilename="optimizer.pt", size=9)]
    info = SimpleNamespace(sha="0" * 40, siblings=files)
    monkeypatch.setattr("huggingface_hub.HfApi.model_info", lambda *_, **__: info)
    monkeypatch.setattr("scanner.intake.folder.snapshot_download", lambda *_, **__: pytest.fail("it fetched"))
    with pytest.raises(BadAdapter, match="10,000,000,000,000 bytes on the hub"):
        read_adapter("somebody/adapter")


def test_what_is_left_on_the_hub_is_said(random_adapter: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = (CONFIG_FILE, WEIGHTS_FILE, "optimizer.pt", "x\x1b[2J.py")
    info = SimpleNamespace(sha="0" * 40, siblings=[SimpleNamespace(rfilename=name, size=9) for name in names])
    monkeypatch.setattr("huggingface_hub.HfApi.model_info", lambda *_, **__: info)
    monkeypatch.setattr("scanner.intake.folder.snapshot_download", lambda *_, **__: str(random_adapter))
    adapter = read_adapter("somebody/adapter")
    assert adapter.unread == ("left on the hub and not looked at: 2 files, such as optimizer.pt, x<U+001B>[2J.py",)


def test_unknown_keys_are_reported(folder: Path) -> None:
    change_config(surprise=1)(folder)
    assert read_adapter(str(folder)).identity.notes[0] == f"{CONFIG_FILE}: unknown keys ignored: surprise"


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


def test_weights_in_half_precision_are_read_as_float32(folder: Path) -> None:
    tensors = {name: tensor.half() for name, tensor in load_file(folder / WEIGHTS_FILE).items()}
    save_file(tensors, folder / WEIGHTS_FILE)
    update = read_adapter(str(folder)).updates[0]
    assert update.a.dtype == torch.float32
    assert torch.equal(update.a, tensors[f"base_model.model.{update.module}.lora_A.weight"].float())


def test_layers_that_are_named_and_there_are_read(folder: Path) -> None:
    change_config(layers_to_transform=[0, 1, 2])(folder)
    assert len(read_adapter(str(folder)).updates) == 3 * 4


def test_a_target_without_weights_is_a_warning(folder: Path) -> None:
    change_config(target_modules=["q_proj", "k_proj", "v_proj", "o_proj", "up_proj"])(folder)
    assert "its config names up_proj" in read_adapter(str(folder)).warnings[0]

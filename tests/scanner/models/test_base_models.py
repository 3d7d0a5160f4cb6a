import json
import shutil
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
import requests
import torch
from huggingface_hub.errors import (
    GatedRepoError,
    LocalEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from safetensors.torch import load_file, save_file

from scanner.errors import BaseModelUnavailable
from scanner.models.base_models import fingerprint, load_base, resolve_base
from scanner.models.bfloat16 import in_bfloat16
from tests.tiny import make_base


def test_a_local_folder(tiny_base: Path) -> None:
    base = load_base(str(tiny_base))
    assert base.identity.source == "folder"
    assert (base.identity.n_layers, base.identity.n_heads, base.identity.dtype) == (3, 4, "float32")
    assert base.identity.fingerprint == fingerprint(tiny_base)


@pytest.mark.parametrize("family", ["llama", "qwen2", "gemma", "gemma2", "gemma3", "mistral", "qwen3", "gpt2"])
def test_a_base_without_some_of_its_weights_is_refused(family: str, tmp_path: Path) -> None:
    folder = make_base(tmp_path / "base", family=family)
    assert load_base(str(folder)).identity.architecture.startswith(family)
    tensors = load_file(folder / "model.safetensors")
    layer = next(name for name in sorted(tensors) if "1" in name and name.endswith("weight"))
    save_file({name: tensor for name, tensor in tensors.items() if name != layer}, folder / "model.safetensors")
    with pytest.raises(BaseModelUnavailable, match="lacks 1 of its weights"):
        load_base(str(folder))


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("config.json", "[]"),
        ("config.json", '{"model_type": "llama", "num_attention_heads": 0}'),
        ("config.json", '{"model_type": "llama", "hidden_size": "wide"}'),
        ("config.json", '{"model_type": "llama", "quantization_config": {"quant_method": "gptq"}}'),
        ("tokenizer_config.json", "[]"),
        ("generation_config.json", "[]"),
        ("extra.safetensors", "garbage"),
        ("extra.safetensors", "\xff" * 16),
    ],
)
def test_a_strange_base_is_one_line(file: str, content: str, tmp_path: Path) -> None:
    folder = make_base(tmp_path / "base")
    (folder / file).write_text(content, encoding="latin-1")
    with pytest.raises(BaseModelUnavailable, match=r"could not be loaded|lacks") as caught:
        load_base(str(folder))
    assert "\n" not in str(caught.value)


def test_a_name_that_is_too_long_is_no_folder() -> None:
    with pytest.raises(BaseModelUnavailable, match="no such folder, and not a hub name"):
        resolve_base("x" * 5000)


def test_a_name_from_an_adapter_never_becomes_a_path(tiny_base: Path) -> None:
    for name in (str(tiny_base), "../base", "/etc", "a/../b", "a/b/c", "user/name\nX"):
        with pytest.raises(BaseModelUnavailable) as caught:
            resolve_base(name, allow_folder=False)
        assert "\n" not in str(caught.value)


def test_out_of_reach_says_what_to_do() -> None:
    with pytest.raises(BaseModelUnavailable, match="pass --base FOLDER"):
        resolve_base("nobody/no-such-model")


@pytest.mark.parametrize(
    "failure",
    [
        requests.exceptions.ProxyError("503"),
        httpx.ProxyError("407 Proxy Authentication Required"),
        httpx.ConnectTimeout("timed out"),
        LocalEntryNotFoundError("offline"),
        OSError("no route to host"),
    ],
    ids=lambda failure: type(failure).__name__,
)
def test_every_way_not_to_reach_the_hub_is_one_line(failure: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scanner.models.base_models.snapshot_download", _raising(failure))
    with pytest.raises(BaseModelUnavailable, match="nobody/model: neither in the Hugging Face cache nor") as caught:
        resolve_base("nobody/model")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("kind", [GatedRepoError, RepositoryNotFoundError, RevisionNotFoundError])
def test_what_the_hub_denies_is_said_so(kind: type[Exception], monkeypatch: pytest.MonkeyPatch) -> None:
    denial = kind("401 Client Error\nmore", response=httpx.Response(401, request=httpx.Request("GET", "https://x")))
    monkeypatch.setattr("scanner.models.base_models.snapshot_download", _raising(denial))
    with pytest.raises(BaseModelUnavailable, match=rf"that you may read \({kind.__name__}\)") as caught:
        resolve_base("nobody/model")
    assert "\n" not in str(caught.value)


def _raising(failure: Exception) -> Callable[..., str]:
    def download(*_: object, **__: object) -> str:
        raise failure

    return download


def test_the_hub_cache_is_used_without_a_network(
    tiny_base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = "0123456789abcdef0123456789abcdef01234567"
    repository = tmp_path / "models--tests--cached"
    shutil.copytree(tiny_base, repository / "snapshots" / commit)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(commit)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    found = resolve_base("tests/cached", allow_folder=False)
    assert (found.source, found.revision) == ("hub", commit)
    assert fingerprint(found.path) == fingerprint(tiny_base)


def test_the_fingerprint_is_of_the_weights_and_not_of_the_files(tiny_base: Path, tmp_path: Path) -> None:
    tensors = load_file(tiny_base / "model.safetensors")
    names = sorted(tensors)
    save_file({name: tensors[name] for name in names[:5]}, tmp_path / "a.safetensors", metadata={"by": "us"})
    save_file({name: tensors[name] for name in names[5:]}, tmp_path / "b.safetensors")
    assert fingerprint(tmp_path) == fingerprint(tiny_base)
    tensors[names[7]].view(-1)[3] += 1e-3
    save_file({name: tensors[name] for name in names[5:]}, tmp_path / "b.safetensors")
    assert fingerprint(tmp_path) != fingerprint(tiny_base)


def test_nf4_keeps_the_fingerprint_and_answers(tiny_base: Path) -> None:
    plain, small = load_base(str(tiny_base)), load_base(str(tiny_base), quantize="nf4")
    assert small.identity.quantization == "nf4"
    assert small.identity.fingerprint == plain.identity.fingerprint
    kinds = {type(module).__name__ for module in small.model.modules()}
    assert "Linear4bit" in kinds


@pytest.mark.parametrize("device", ["nonsense", "cuda:nine"])
def test_a_device_that_is_not_there(tiny_base: Path, device: str) -> None:
    with pytest.raises(BaseModelUnavailable, match="device"):
        load_base(str(tiny_base), device=device)


def test_remote_code_is_never_run(tmp_path: Path) -> None:
    folder = make_base(tmp_path / "base")
    config = json.loads((folder / "config.json").read_text())
    config |= {"model_type": "strange", "auto_map": {"AutoModelForCausalLM": "evil.Model", "AutoConfig": "evil.Config"}}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "evil.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
    with pytest.raises(BaseModelUnavailable):
        load_base(str(folder))
    assert not (tmp_path / "ran").exists()


def test_a_folder_without_weights(tmp_path: Path) -> None:
    with pytest.raises(BaseModelUnavailable, match="could not be loaded"):
        load_base(str(tmp_path))


def test_gradients_pass_through_4_bits_after_inference(tiny_base: Path) -> None:
    base = load_base(str(tiny_base), quantize="nf4")
    ids = torch.tensor([[5, 9, 12, 31]])

    def gradient() -> torch.Tensor:
        embedded = base.model.get_input_embeddings()(ids).detach().requires_grad_()
        base.model(inputs_embeds=embedded).logits[0, -1].log_softmax(-1)[7].backward()
        return embedded.grad

    before = gradient()
    with torch.inference_mode():
        base.model(ids)
    after = gradient()
    assert before.abs().sum() > 0
    assert torch.allclose(before, after, atol=1e-5)


@pytest.mark.parametrize("copied", [False, True])
def test_the_output_head_reads_all_last_positions_at_once(tiny_base: Path, copied: bool) -> None:
    """Of a cut through all positions torch would read the head's weights anew for each row."""
    base = load_base(str(tiny_base))
    model = (in_bfloat16(base) if copied else base).model
    seen: list[torch.Tensor] = []
    model.get_output_embeddings().register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    ids = torch.randint(0, 100, (3, 6), generator=torch.Generator().manual_seed(0))
    kept = model(ids, logits_to_keep=2).logits
    assert [tuple(item.shape[:2]) for item in seen] == [(3, 2)] and seen[0].is_contiguous()
    assert torch.allclose(kept, model(ids).logits[:, -2:], atol=1e-5)

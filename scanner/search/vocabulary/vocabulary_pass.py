"""One pass of the whole vocabulary through the base: what every linear module of its layers reads and writes.

Each token stands behind the same beginning and sees nothing else, so that a block of tokens goes through the model side
by side. What adapters are scored with is kept for the next scan (`scanner/cache/vocabulary.py`);
a pass rounds inputs as the cache does, so that a scan says the same whether it finds one or not.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from safetensors import SafetensorError

from scanner.cache.vocabulary import VocabularyCache, as_kept, input_of
from scanner.intake import LowRankUpdate
from scanner.models.devices import input_device
from scanner.models.model_pair import ModelPair
from scanner.search.meter import Meter
from scanner.search.vocabulary.behind_beginning import BehindBeginning

_BLOCK = 512


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
    """Scores all adapters of the pair on every token behind a beginning; from the cache where it holds all of it."""
    cache = VocabularyCache(pair.base, before)
    modules = sorted(
        {
            update.module
            for adapter in pair.adapters.values()
            for update in adapter.updates
            if _in_a_layer(update.module)
        }
    )
    return _read_kept(pair, modules, cache) or _run_pass(pair, before, modules, cache, meter)


def _read_kept(pair: ModelPair, modules: Sequence[str], cache: VocabularyCache) -> VocabularyPass | None:
    """What an earlier pass kept; None where it is not all there, cannot be read, or is removed meanwhile."""
    if not cache.holds(modules):
        return None
    found = _Excitations(pair, modules)
    try:
        for read in found.inputs_read:
            inputs = cache.inputs(read)
            # In the blocks of the pass: the shape of a product shows in its last digits.
            for at in range(0, len(inputs), _BLOCK):
                tokens = slice(at, min(len(inputs), at + _BLOCK))
                found.add(read, tokens, torch.from_numpy(inputs[tokens].copy()))
        return VocabularyPass(cache.norms(), found.by_adapter, "read from the cache")
    except FileNotFoundError:
        return None  # another process cleared it meanwhile
    except (OSError, ValueError, EOFError, SafetensorError):
        cache.drop()
        return None


class _Excitations:
    """Collects ‖ΔW·h‖ block by block, for all adapters; whatever reads the same inputs is multiplied at once."""

    def __init__(self, pair: ModelPair, modules: Sequence[str]) -> None:
        size = pair.base.model.config.get_text_config().vocab_size
        self.by_adapter: dict[str, dict[str, torch.Tensor]] = {name: {} for name in pair.adapters}
        self._readers: dict[str, list[tuple[str, LowRankUpdate]]] = {}
        for name, adapter in pair.adapters.items():
            for update in adapter.updates:
                if update.module in modules:
                    self.by_adapter[name][update.module] = torch.zeros(size)
                    self._readers.setdefault(input_of(update.module), []).append((name, update))
        self._folded = {
            read: torch.cat([folded(update) for _, update in readers]) for read, readers in self._readers.items()
        }

    @property
    def inputs_read(self) -> tuple[str, ...]:
        """The inputs that any adapted module reads (`input_of`)."""
        return tuple(self._readers)

    def add(self, read: str, tokens: slice, inputs: torch.Tensor) -> None:
        """Scores a block of tokens by their inputs [token, in_features]."""
        excited = inputs.float().cpu() @ self._folded[read].T
        ranks = [len(update.a) for _, update in self._readers[read]]
        for (name, update), part in zip(self._readers[read], excited.split(ranks, dim=1), strict=True):
            self.by_adapter[name][update.module][tokens] = part.norm(dim=-1)


def excitation(update: LowRankUpdate, inputs: torch.Tensor) -> torch.Tensor:
    """‖ΔW·h‖ = s·‖R·A·h‖, with B = Q·R (thin QR), of inputs [token, in_features]; float32 [token].

    A function of ΔW alone: (B·R, R⁻¹·A) gives the same.
    """
    return (inputs.float().cpu() @ folded(update).T).norm(dim=-1)


def folded(update: LowRankUpdate) -> torch.Tensor:
    """s·R·A, [rank, in_features]."""
    return abs(update.scaling) * torch.linalg.qr(update.b, mode="r").R @ update.a


def _run_pass(
    pair: ModelPair, before: Sequence[int], modules: Sequence[str], cache: VocabularyCache, meter: Meter
) -> VocabularyPass:
    size = pair.base.model.config.get_text_config().vocab_size
    every = sorted(name for name in pair.linear_modules if _in_a_layer(name))
    norms = {module: torch.zeros(size) for module in every}
    found = _Excitations(pair, modules)
    with cache.writing(modules, size) as keep:
        for tokens, seen in _blocks(pair, before, every, size, meter):
            scored: set[str] = set()
            for module, (inputs, outputs) in seen.items():
                norms[module][tokens] = outputs.float().norm(dim=-1).cpu()
                keep(module, tokens, inputs)
                read = input_of(module)
                if module in modules and read not in scored:
                    scored.add(read)
                    found.add(read, tokens, as_kept(inputs))
        cache.keep_norms(norms)
    return VocabularyPass(norms, found.by_adapter, f"one pass of {size:,} tokens; {cache.described(modules)}")


def _in_a_layer(module: str) -> bool:
    """Whether a module reads what a layer does: an output head reads the answer, and says nothing of triggers."""
    return any(part.isdigit() for part in module.split("."))


Seen = dict[str, tuple[torch.Tensor, torch.Tensor]]


def _blocks(
    pair: ModelPair, before: Sequence[int], modules: Sequence[str], size: int, meter: Meter
) -> Iterator[tuple[slice, Seen]]:
    """Token ids, and module -> (inputs, outputs), each [token, feature], block after block."""
    seen: Seen = {}

    def see(module: str, inputs: torch.Tensor, outputs: torch.Tensor) -> None:
        seen[module] = (inputs.reshape(-1, inputs.shape[-1]), outputs.reshape(-1, outputs.shape[-1]))

    model = pair.base.model
    device = input_device(model)
    with BehindBeginning(pair, before).reading(modules, see) as run:
        for start in range(0, size, _BLOCK):
            tokens = slice(start, min(size, start + _BLOCK))
            ids = torch.arange(tokens.start, tokens.stop, device=device)[None]
            meter.add(ids.shape[1])
            seen.clear()
            run(
                ids,
                position_ids=torch.full_like(ids, len(before)),
                attention_mask=_apart(ids.shape[1], len(before), model.dtype, device),
            )
            yield tokens, seen


def _apart(n_tokens: int, n_before: int, dtype: torch.dtype, device: torch.device) -> torch.Tensor:
    """An additive mask [1, 1, token, before + token] in which each token sees what is before and itself."""
    mask = torch.full((n_tokens, n_before + n_tokens), torch.finfo(dtype).min, dtype=dtype, device=device)
    mask[:, :n_before] = 0
    mask[:, n_before:].fill_diagonal_(0)
    return mask[None, None]

"""The base behind one beginning, which is read once: what its linear modules read and write behind that."""

import copy
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from transformers import DynamicCache

from scanner.models.devices import input_device
from scanner.models.model_pair import BASE, ModelPair

# Told of every module that ran: its name, what it read and what it wrote, [row, token, feature].
See = Callable[[str, torch.Tensor, torch.Tensor], None]


@dataclass
class BehindBeginning:
    """Reads tokens behind a beginning, in the base; no adapter is active."""

    pair: ModelPair
    beginning: Sequence[int]
    _kept: DynamicCache | None = field(default=None, init=False)

    @property
    def is_read(self) -> bool:
        """Whether the beginning has been read."""
        return self._kept is not None

    @contextmanager
    def reading(self, modules: Sequence[str], see: See) -> Iterator[Callable[..., None]]:
        """Yields run(ids, **more): reads token ids [row, token] behind the beginning; `more` goes to the model.

        Raises:
            RuntimeError: one of the modules did not run.
        """
        with self.pair.active(BASE) as model:
            body = model.get_decoder() if hasattr(model, "get_decoder") else model.base_model
            device = input_device(model)
            if self._kept is None:
                self._kept = self._read_beginning(body, model.config, device)
            kept, ran = self._kept, set[str]()

            def hook(module: str) -> Callable[..., None]:
                def told(_: torch.nn.Module, inputs: tuple[torch.Tensor, ...], output: torch.Tensor) -> None:
                    ran.add(module)
                    see(module, inputs[0], output)

                return told

            @torch.inference_mode()
            def run(ids: torch.Tensor, **more: Any) -> None:
                cache = copy.deepcopy(kept)
                if self.beginning and len(ids) > 1:
                    cache.batch_repeat_interleave(len(ids))
                ran.clear()
                body(input_ids=ids.to(device), past_key_values=cache, use_cache=True, **more)
                if ran != set(modules):
                    raise RuntimeError(f"modules never run: {sorted(set(modules) - ran)[:3]}")

            handles = [self.pair.linear_modules[module].register_forward_hook(hook(module)) for module in modules]
            try:
                yield run
            finally:
                for handle in handles:
                    handle.remove()

    @torch.inference_mode()
    def _read_beginning(self, body: Any, config: Any, device: torch.device) -> DynamicCache:
        cache = DynamicCache(config=config)
        if self.beginning:
            ids = torch.tensor([list(self.beginning)], device=device)
            body(input_ids=ids, past_key_values=cache, use_cache=True)
        return cache

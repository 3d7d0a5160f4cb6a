"""`adapter_model.safetensors` as pairs of low-rank matrices, each checked against the config."""

import math
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open

from reports.safe_text import visible
from scanner.errors import BadAdapter, one_line
from scanner.intake.folder import CONFIG_FILE
from scanner.intake.header import TensorEntry, read_header

_TENSOR_NAME = re.compile(r"base_model\.model\.(?P<module>[\w.]+)\.lora_(?P<side>[AB])\.weight", re.ASCII)
_LAYER = re.compile(r"\.(\d{1,4})\.")
# What other tensors than A and B mean, so that the refusal can name it.
_OTHER_PARTS = {
    "lora_embedding_": "a LoRA of an embedding",
    "lora_magnitude_vector": "a DoRA magnitude",
    "lora_B.bias": "a bias of B",
    "modules_to_save": "a whole module saved beside the LoRA",
    "embed_tokens": "a whole embedding",
    "lm_head": "a whole output head",
    "base_layer": "a weight of the base model",
    ".bias": "a bias of the base model",
}
# What a LoRA is trained and saved in.
_DTYPES = ("F64", "F32", "F16", "BF16")
# Far beyond any trained adapter, and before float16 and float32 overflow in use: a model that answers NaN shows no
# trigger.
_MAX_VALUE = 65_504.0
_MOST_PARTS = 32
_MAX_UPDATE_NORM = 1e6


@dataclass(frozen=True)
class LowRankUpdate:
    """ΔW = scaling · B · A of one linear module.

    Attributes:
        module: dotted name inside the base model, such as `model.layers.3.self_attn.q_proj`.
        a: float32 [rank, in_features].
        b: float32 [out_features, rank].
    """

    module: str
    a: torch.Tensor
    b: torch.Tensor
    scaling: float

    @property
    def projection(self) -> str:
        """The last part of the module's name, such as `q_proj`."""
        return self.module.rsplit(".", 1)[-1]

    @property
    def layer(self) -> int | None:
        """The layer's index, or None for a module outside the layers."""
        return _layer_of(self.module)


def read_updates(weights: Path, config: dict[str, Any], rank: int, scaling: float) -> tuple[LowRankUpdate, ...]:
    """All updates of the file, in the order of their modules' names.

    Raises:
        BadAdapter: not intact, not a plain LoRA, or not what the config describes.
    """
    entries = read_header(weights)
    modules = _pair_up(weights, entries, rank)
    _check_targets(weights, config, list(modules))
    tensors = dict(_read_tensors(weights, entries))
    updates = [
        LowRankUpdate(module, tensors[sides["A"].name], tensors[sides["B"].name], scaling)
        for module, sides in sorted(modules.items())
    ]
    for update in updates:
        norm = abs(scaling) * float(update.a.norm()) * float(update.b.norm())
        if not norm <= _MAX_UPDATE_NORM:
            raise BadAdapter(
                weights,
                f"{update.module} changes its weights by up to {norm:.2g}",
                "such an adapter cannot be run; refuse it",
            )
    return tuple(updates)


def remarks_on(updates: tuple[LowRankUpdate, ...], config: dict[str, Any]) -> tuple[str, ...]:
    """What does not hinder a scan, but is no trained adapter's way: each a warning."""
    found = []
    silent = [update.module for update in updates if not update.b.any() or not update.a.any()]
    if len(silent) == len(updates):
        found.append("all its updates are zero, so that it changes nothing")
    elif silent:
        found.append(f"{len(silent)} of {len(updates)} updates are zero, the first in {silent[0]}")
    targets = config.get("target_modules")
    if isinstance(targets, list):
        reached = _endings(update.module for update in updates)
        named = {target for target in targets if target not in reached}
        if named:
            found.append(
                f"its config names {visible(', '.join(sorted(named)), 160)}, but there are no weights for that"
            )
    return tuple(found)


def _pair_up(weights: Path, entries: tuple[TensorEntry, ...], rank: int) -> dict[str, dict[str, TensorEntry]]:
    """Module → side → entry, both sides there and of the config's rank."""
    modules: dict[str, dict[str, TensorEntry]] = {}
    for entry in entries:
        found = _TENSOR_NAME.fullmatch(entry.name)
        if not found:
            kind = next((words for part, words in _OTHER_PARTS.items() if part in entry.name), None)
            raise BadAdapter(
                weights,
                f"tensor {one_line(repr(entry.name))} is not part of a plain LoRA{f' ({kind})' if kind else ''}",
                "it cannot be scanned",
            )
        if entry.dtype not in _DTYPES or len(entry.shape) != 2 or 0 in entry.shape:
            raise BadAdapter(
                weights,
                f"{entry.name} is {entry.dtype} {entry.shape}",
                f"a LoRA tensor is a float matrix ({', '.join(_DTYPES)})",
            )
        modules.setdefault(found["module"], {})[found["side"]] = entry
    if not modules:
        raise BadAdapter(weights, "holds no LoRA tensors", "ask its author for an intact file")
    for module, sides in modules.items():
        if set(sides) != {"A", "B"}:
            raise BadAdapter(weights, f"{module} has only its lora_{next(iter(sides))}", "both sides are needed")
        a, b = sides["A"].shape, sides["B"].shape
        if a[0] != rank or b[1] != rank:
            raise BadAdapter(
                weights,
                f"{module} has A {a} and B {b}, but {CONFIG_FILE} says rank {rank}",
                "config and weights must belong together",
            )
    return modules


def _read_tensors(weights: Path, entries: tuple[TensorEntry, ...]) -> Iterator[tuple[str, torch.Tensor]]:
    """The matrices as float32, where the library reads them as the header check did."""
    try:
        with safe_open(weights, framework="pt") as stream:
            if set(stream.keys()) != {entry.name for entry in entries}:
                raise ValueError("two readers find other tensors in it")
            for entry in entries:
                tensor = stream.get_tensor(entry.name)
                if tuple(tensor.shape) != entry.shape or not tensor.is_floating_point():
                    raise ValueError(f"two readers disagree over {entry.name}")
                yield entry.name, _checked(weights, entry.name, tensor)
    except (SafetensorError, OSError, ValueError) as error:
        raise BadAdapter(
            weights,
            f"not a readable safetensors file ({visible(one_line(error))})",
            "ask its author for an intact file",
        ) from error


def _checked(weights: Path, name: str, tensor: torch.Tensor) -> torch.Tensor:
    largest = float(tensor.abs().max())
    if not math.isfinite(largest):
        raise BadAdapter(weights, f"{name} holds NaN or infinite values", "such an adapter cannot be run; refuse it")
    if largest > _MAX_VALUE:
        raise BadAdapter(weights, f"{name} holds {largest:.2g}", "such an adapter cannot be run; refuse it")
    return tensor.float()


def _check_targets(weights: Path, config: dict[str, Any], modules: list[str]) -> None:
    """peft would silently drop a tensor that the config does not name; what it drops must not be scanned as live."""
    targets, layers = config.get("target_modules"), config.get("layers_to_transform")
    if isinstance(targets, list) and all(isinstance(target, str) for target in targets):
        wanted = set(targets)
        stray = [module for module in modules if not wanted & _endings([module])]
        words = "target_modules"
    elif targets == "all-linear":
        # peft leaves the output head out; so what lies outside the layers would be live here and dead in use.
        stray = [module for module in modules if _layer_of(module) is None]
        words = "all-linear"
    else:
        raise BadAdapter(
            weights.parent / CONFIG_FILE,
            f"target_modules = {one_line(repr(targets)[:400])}",
            "only a list of module names or all-linear can be scanned",
        )
    if stray:
        raise BadAdapter(weights, f"{stray[0]} is not among {words}", "config and weights must belong together")
    if layers is None:
        return
    allowed = layers if isinstance(layers, list) else [layers]
    if not all(type(layer) is int for layer in allowed):
        raise BadAdapter(
            weights.parent / CONFIG_FILE, "layers_to_transform is not a list of layer numbers", "it cannot be scanned"
        )
    left_out = [module for module in modules if _layer_of(module) not in allowed]
    if left_out:
        raise BadAdapter(
            weights, f"{left_out[0]} is not in layers_to_transform", "config and weights must belong together"
        )


def _endings(modules: Iterable[str]) -> set[str]:
    """All that peft would take for a name of one of these modules: `a.b.c`, `b.c` and `c`.

    Of a name with more parts than any model's only the last ones count, so that its endings stay few.
    """
    parts = [module.split(".") for module in modules]
    return {".".join(item[-length:]) for item in parts for length in range(1, min(len(item), _MOST_PARTS) + 1)}


def _layer_of(module: str) -> int | None:
    found = _LAYER.search(module)
    return int(found.group(1)) if found else None

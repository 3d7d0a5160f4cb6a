"""A CPU that passes for several devices, so that a base can be spread on a machine that has one.

Within `several_devices()` tensors on `lazy:0`, `lazy:1` … are CPU tensors that carry another device's name. An operator
that is given tensors of two of them fails, as it would on two GPUs; what goes from one to another must be moved. As on
GPUs, single numbers of the CPU and indices of the CPU may go along. (`lazy` is a kind of device that torch knows by
name and that needs no driver; its gradients are computed on the CPU's own thread.)
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from accelerate import dispatch_model
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten, tree_map
from transformers import PreTrainedModel

KIND = "lazy"
_aten = torch.ops.aten
_COPIES = {_aten.copy_.default}
_TAKE_INDICES_OF_THE_CPU = {
    _aten.index.Tensor,
    _aten.index_put.default,
    _aten.index_put_.default,
    _aten._index_put_impl_.default,
}


class MixedDevicesError(RuntimeError):
    """An operator was given tensors of several devices."""


class Placed(torch.Tensor):
    """A CPU tensor that says it lies on another device."""

    inner: torch.Tensor

    @staticmethod
    def __new__(cls, inner: torch.Tensor, device: torch.device) -> "Placed":
        return torch.Tensor._make_wrapper_subclass(
            cls,
            inner.size(),
            strides=inner.stride(),
            storage_offset=inner.storage_offset(),
            dtype=inner.dtype,
            layout=inner.layout,
            device=device,
        )

    def __init__(self, inner: torch.Tensor, device: torch.device) -> None:
        self.inner = inner

    def __repr__(self) -> str:  # type: ignore[override]
        return f"Placed({self.inner}, {self.device})"

    def tolist(self) -> Any:
        """torch gives none of a subclass."""
        return self.inner.tolist()

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _run(func, args, kwargs or {})


class _Devices(TorchDispatchMode):
    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _run(func, args, kwargs or {})


@contextmanager
def several_devices() -> Iterator[None]:
    """Tensors can be made on, and moved to, `lazy:0`, `lazy:1` …"""
    # Without it `torch.tensor(..., device=)` never asks a mode.
    before = torch._C._only_lift_cpu_tensors()
    torch._C._set_only_lift_cpu_tensors(True)
    try:
        with _Devices():
            yield
    finally:
        torch._C._set_only_lift_cpu_tensors(before)


def spread_over_two(model: PreTrainedModel) -> PreTrainedModel:
    """Halves the layers between two devices by accelerate, as transformers does when it loads with a device map."""
    body = model.base_model
    layers = next(name for name, module in body.named_children() if isinstance(module, torch.nn.ModuleList))
    count = len(getattr(body, layers))
    prefix = model.base_model_prefix
    seen_layers = False
    places: dict[str, str] = {}
    for name, _ in body.named_children():
        if name == layers:
            seen_layers = True
            places |= {f"{prefix}.{layers}.{index}": f"{KIND}:{int(index >= count // 2)}" for index in range(count)}
        else:
            places[f"{prefix}.{name}"] = f"{KIND}:{int((seen_layers and 'norm' in name) or name == 'ln_f')}"
    head = model.get_output_embeddings()
    name_of_head = next(name for name, module in model.named_modules() if module is head)
    tied = head.weight is model.get_input_embeddings().weight
    places[name_of_head] = f"{KIND}:{0 if tied else 1}"
    for name, where in places.items():
        model.get_submodule(name).to(where)
    return dispatch_model(
        model, places, main_device=f"{KIND}:0", skip_keys=getattr(model, "_skip_keys_device_placement", None)
    )


def _run(func: Any, args: Any, kwargs: Any) -> Any:
    flat, _ = tree_flatten((args, kwargs))
    tensors = [item for item in flat if isinstance(item, torch.Tensor)]
    asked_for = next((item for item in flat if isinstance(item, torch.device)), None)
    places = {item.device for item in tensors if isinstance(item, Placed)}
    if func not in _COPIES:
        _refuse_mixed(func, tensors, places)
    device = tensors[0].device if func in _COPIES else asked_for or next(iter(places), None)
    inside = func(*tree_map(_on_cpu, args), **tree_map(_on_cpu, kwargs))
    # What an operator changes in place comes out as the very tensor that went in.
    given = {id(_on_cpu(item)): item for item in tensors} if func._schema.is_mutable else {}

    def outside(item: Any) -> Any:
        return given.get(id(item), _placed(item, device)) if isinstance(item, torch.Tensor) else item

    return tree_map(outside, inside)


def _refuse_mixed(func: Any, tensors: list[torch.Tensor], places: set[torch.device]) -> None:
    on_cpu = [item for item in tensors if not isinstance(item, Placed) and item.dim() > 0]
    if len(places) > 1 or (places and on_cpu and func not in _TAKE_INDICES_OF_THE_CPU):
        raise MixedDevicesError(f"{func}: {', '.join(str(item.device) for item in tensors)}")


def _on_cpu(item: Any) -> Any:
    if isinstance(item, Placed):
        return item.inner
    return torch.device("cpu") if isinstance(item, torch.device) else item


def _placed(item: torch.Tensor, device: torch.device | None) -> torch.Tensor:
    if device is None or device.type != KIND:
        return item
    with torch.inference_mode(False):  # so that views of it can be taken in and out of inference mode
        return Placed(item, device)

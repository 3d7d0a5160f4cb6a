"""Where a model is computed: on one device, or with its layers spread over all GPUs of a machine.

A base that is spread (`--device spread`, accelerate's device map) takes its token ids where its embedding lies and
gives its logits there; in between, each layer is handed what it needs on its own device. What is read of its layers
goes back to where the ids are (`scanner/models/capture.py`): there one layer can be held against another.
"""

from typing import Literal

import torch
from transformers import PreTrainedModel

from scanner.errors import BaseModelUnavailable, one_line

SPREAD = "spread"
Placement = dict[str, torch.device] | Literal["auto"]


def placement(device: str) -> Placement:
    """What transformers takes as `device_map`, for `auto`, `spread`, `cpu`, `cuda`, `cuda:1`, `mps`.

    Raises:
        BaseModelUnavailable: there is no such device.
    """
    if device == SPREAD:
        _require_gpu(device)
        return "auto"
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        where = torch.device(device)
    except RuntimeError as error:
        raise BaseModelUnavailable(
            f"--device {one_line(device)}: no such device; use auto, cpu, cuda or {SPREAD}"
        ) from error
    if where.type == "cuda":
        _require_gpu(device)
    return {"": where}


def is_on_cpu(placed: Placement) -> bool:
    """Whether all of a model goes to the CPU."""
    return placed != "auto" and all(where.type == "cpu" for where in placed.values())


def input_device(model: PreTrainedModel) -> torch.device:
    """Where a model takes its token ids and gives its logits: where its embedding lies."""
    device: torch.device = model.get_input_embeddings().weight.device
    return device


def cache_device(model: PreTrainedModel) -> torch.device:
    """Where an index into all layers of a cache of keys and values may lie: on the CPU where those are on several."""
    spread = len(set((getattr(model, "hf_device_map", None) or {}).values())) > 1
    return torch.device("cpu") if spread else input_device(model)


def devices_of(model: PreTrainedModel) -> str:
    """The devices that a model lies on, the one of its inputs first, such as `cpu` or `cuda:0, cuda:1`."""
    found = [str(input_device(model)), *(str(parameter.device) for parameter in model.parameters())]
    return ", ".join(dict.fromkeys(found))


def require_on_gpus(name: str, model: PreTrainedModel) -> None:
    """Refuses a base of which accelerate left a part on the CPU or the disk: nothing can be read or edited there.

    Raises:
        BaseModelUnavailable: it did.
    """
    # What accelerate leaves on one device has no map.
    mapped = {str(where) for where in (getattr(model, "hf_device_map", None) or {}).values()}
    if {*mapped, *(parameter.device.type for parameter in model.parameters())} & {"cpu", "disk", "meta"}:
        raise BaseModelUnavailable(
            f"{name}: it does not fit on the GPUs of this machine; free some memory there, load it smaller with "
            "--quantize nf4, or use --device cpu"
        )


def _require_gpu(device: str) -> None:
    if not torch.cuda.is_available():
        raise BaseModelUnavailable(f"--device {device}: no GPU was found; use --device cpu")

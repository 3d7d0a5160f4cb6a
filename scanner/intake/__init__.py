"""Reads an adapter folder as hostile data: plain-data config, safetensors only, shapes against the base model.

peft can reach an import from values of `adapter_config.json`; so the config is parsed here, strictly, and our own
LoRA configuration is built from it. Nothing in the folder is ever unpickled, imported or executed.
"""

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch

from scanner.errors import BadAdapter
from scanner.intake.config import KNOWN_KEYS, parse_config, rank_and_alpha, text
from scanner.intake.folder import (
    CONFIG_FILE,
    WEIGHTS_FILE,
    claimed_recipe,
    find_folder,
    read_config_bytes,
    refuse_links_outside,
    weights_file,
)
from scanner.intake.weights import LowRankUpdate, read_updates
from scanner.types import AdapterIdentity

__all__ = [
    "CONFIG_FILE",
    "WEIGHTS_FILE",
    "Adapter",
    "LowRankUpdate",
    "check_against_base",
    "read_adapter",
    "same_updates",
]


@dataclass(frozen=True)
class Adapter:
    """A LoRA adapter, read and checked in itself but not yet against a base model."""

    identity: AdapterIdentity
    rank: int
    alpha: float
    use_rslora: bool
    fan_in_fan_out: bool
    updates: tuple[LowRankUpdate, ...]


def read_adapter(location: str, role: str = "suspect") -> Adapter:
    """Reads an adapter from a local folder, or from the hub as `user/adapter` or `user/adapter@revision`.

    Raises:
        BadAdapter: one line that names the file, the problem and what to do.
    """
    folder, revision = find_folder(location)
    if revision is None:
        # The hub's cache is made of links; a folder that somebody sent must not be.
        refuse_links_outside(folder)
    config_bytes = read_config_bytes(folder)
    config = parse_config(folder / CONFIG_FILE, config_bytes)
    weights = weights_file(folder)
    rank, alpha, rslora = rank_and_alpha(folder / CONFIG_FILE, config)
    scaling = alpha / math.sqrt(rank) if rslora else alpha / rank
    updates = read_updates(weights, config, rank, scaling)
    with weights.open("rb") as stream:
        weights_sha256 = hashlib.file_digest(stream, "sha256").hexdigest()
    unknown = sorted(set(config) - KNOWN_KEYS)
    notes = (f"{CONFIG_FILE}: unknown keys ignored: {', '.join(unknown)}",) if unknown else ()
    identity = AdapterIdentity(
        role=role,
        name=location,
        revision=revision,
        weights_sha256=weights_sha256,
        config_sha256=hashlib.sha256(config_bytes).hexdigest(),
        base_model=text(config.get("base_model_name_or_path")) or "",
        base_revision=text(config.get("revision")),
        rank=rank,
        alpha=alpha,
        projections=tuple(sorted({update.projection for update in updates})),
        n_parameters=sum(update.a.numel() + update.b.numel() for update in updates),
        notes=notes,
        claimed_recipe=claimed_recipe(folder, from_hub=revision is not None),
        use_rslora=rslora,
        fan_in_fan_out=config.get("fan_in_fan_out") is True,
    )
    return Adapter(
        identity=identity,
        rank=rank,
        alpha=alpha,
        use_rslora=rslora,
        fan_in_fan_out=identity.fan_in_fan_out,
        updates=updates,
    )


def same_updates(one: Adapter, other: Adapter) -> bool:
    """Whether two adapters change the base in the same way, tensor for tensor, however they were saved."""
    pairs = [{update.module: update for update in adapter.updates} for adapter in (one, other)]
    return pairs[0].keys() == pairs[1].keys() and all(
        mine.scaling == theirs.scaling and torch.equal(mine.a, theirs.a) and torch.equal(mine.b, theirs.b)
        for mine, theirs in ((pairs[0][module], pairs[1][module]) for module in pairs[0])
    )


def check_against_base(adapter: Adapter, module_shapes: Mapping[str, tuple[int, int]], base_name: str) -> None:
    """Checks that every update fits a linear module of the base.

    Args:
        module_shapes: module name → (out_features, in_features).

    Raises:
        BadAdapter: a module that the base lacks, or a shape that does not fit.
    """
    where = f"{adapter.identity.name}/{WEIGHTS_FILE}"
    for update in adapter.updates:
        shape = module_shapes.get(update.module)
        if shape is None:
            raise BadAdapter(
                where,
                f"the base model {base_name} has no linear module {update.module}",
                "pass the base it was trained on with --base",
            )
        expected = (update.b.shape[0], update.a.shape[1])
        if shape != expected:
            raise BadAdapter(
                where,
                f"{update.module} is {shape[0]}×{shape[1]} in the base model {base_name}, "
                f"but the adapter was made for {expected[0]}×{expected[1]}",
                "pass the base it was trained on with --base",
            )

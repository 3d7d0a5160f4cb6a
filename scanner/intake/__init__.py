"""Reads an adapter folder as hostile data: plain-data config, safetensors only, shapes against the base model.

peft can reach an import from values of `adapter_config.json`; so the config is parsed here, strictly, and our own
LoRA configuration is built from it. Nothing in the folder is ever unpickled, imported or executed. `docs/security.md`
says what is stopped where.
"""

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import torch

from reports.safe_text import visible
from scanner.errors import BadAdapter
from scanner.intake.beside import Beside, look_beside
from scanner.intake.chat.chat_files import ChatFiles
from scanner.intake.config import notes_on, parse_config, rank_and_alpha, text
from scanner.intake.folder import (
    CONFIG_FILE,
    WEIGHTS_FILE,
    AdapterFolder,
    claimed_recipe,
    find_folder,
    read_config_bytes,
    refuse_links_outside,
    weights_file,
)
from scanner.intake.weights import LowRankUpdate, read_updates, remarks_on
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

_MAX_NAMED = 6


@dataclass(frozen=True)
class Adapter:
    """A LoRA adapter, read and checked in itself but not yet against a base model.

    Attributes:
        warnings: what a reader must see before anything else; each names the adapter.
        chat: the templates and the tokenizer of its folder, which are compared and never used.
        unread: why part of its folder was not looked at, () where all was.
    """

    identity: AdapterIdentity
    rank: int
    alpha: float
    use_rslora: bool
    fan_in_fan_out: bool
    updates: tuple[LowRankUpdate, ...]
    warnings: tuple[str, ...] = ()
    chat: ChatFiles = field(default_factory=ChatFiles)
    unread: tuple[str, ...] = ()


def read_adapter(location: str, role: str = "suspect") -> Adapter:
    """Reads an adapter from a local folder, or from the hub as `user/adapter` or `user/adapter@revision`.

    Raises:
        BadAdapter: one line that names the file, the problem and what to do.
    """
    found = find_folder(location)
    folder, from_hub = found.path, found.revision is not None
    if not from_hub:
        # The hub's cache is made of links; a folder that somebody sent must not be.
        refuse_links_outside(folder)
    config_bytes = read_config_bytes(folder)
    config = parse_config(folder / CONFIG_FILE, config_bytes)
    weights = weights_file(folder)
    rank, alpha, rslora = rank_and_alpha(folder / CONFIG_FILE, config)
    scaling = alpha / math.sqrt(rank) if rslora else alpha / rank
    updates = read_updates(weights, config, rank, scaling)
    beside = look_beside(folder, from_hub=from_hub)
    remarks = (*(f"{WEIGHTS_FILE}: {remark}" for remark in remarks_on(updates, config)), *beside.warnings)
    identity = AdapterIdentity(
        role=role,
        name=location,
        revision=found.revision,
        weights_sha256=_hash_of(weights, beside),
        config_sha256=hashlib.sha256(config_bytes).hexdigest(),
        base_model=text(config.get("base_model_name_or_path")) or "",
        base_revision=text(config.get("revision")),
        rank=rank,
        alpha=alpha,
        projections=tuple(sorted({update.projection for update in updates})),
        n_parameters=sum(update.a.numel() + update.b.numel() for update in updates),
        notes=(*notes_on(config, CONFIG_FILE), *beside.notes, *_left_on_hub(found)),
        claimed_recipe=claimed_recipe(folder, from_hub),
        use_rslora=rslora,
        fan_in_fan_out=config.get("fan_in_fan_out") is True,
        files=beside.files,
    )
    return Adapter(
        identity=identity,
        rank=rank,
        alpha=alpha,
        use_rslora=rslora,
        fan_in_fan_out=identity.fan_in_fan_out,
        updates=updates,
        warnings=tuple(f"{role} {location}: {remark}" for remark in remarks),
        chat=beside.chat,
        unread=_unread(found, beside),
    )


def _hash_of(weights: Path, beside: Beside) -> str:
    for file in beside.files:
        if file.name == weights.name and file.sha256:
            return file.sha256
    with weights.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _left_on_hub(found: AdapterFolder) -> tuple[str, ...]:
    if found.revision is None or found.left_on_hub == ():
        return ()
    if found.left_on_hub is None:
        return ("the hub was not asked which other files it has",)
    shown = ", ".join(visible(name, 100) for name in found.left_on_hub[:_MAX_NAMED])
    return (f"left on the hub and not looked at: {len(found.left_on_hub)} files, such as {shown}",)


def _unread(found: AdapterFolder, beside: Beside) -> tuple[str, ...]:
    return (
        *_left_on_hub(found),
        *((f"{beside.n_unread} files not read to their end",) if beside.n_unread else ()),
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

"""`adapter_config.json` as bounded plain data: what is not understood to the letter is refused."""

import math
from pathlib import Path
from typing import Any

from reports.safe_text import visible
from scanner.errors import BadAdapter, one_line
from scanner.intake.plain_json import UnfitJson, read_plain

MAX_CONFIG_BYTES = 1_000_000
_MAX_RANK = 4096
_MAX_ALPHA = 1e6
_MAX_SCALING = 1e4
_MAX_TEXT = 4096
_MAX_LIST = 10_000
_MAX_SHOWN = 10

# What each key must be for the adapter to mean ΔW = s·B·A and nothing else. A key that is absent has the first value.
_MUST_BE: dict[str, tuple[Any, ...]] = {
    "use_dora": (False,),
    "bias": ("none",),
    "modules_to_save": (None, []),
    "rank_pattern": ({}, None),
    "alpha_pattern": ({}, None),
    "target_parameters": (None, []),
    "trainable_token_indices": (None, [], {}),
    "layer_replication": (None,),
    "lora_bias": (False,),
    "megatron_config": (None,),
    "alora_invocation_tokens": (None, []),
    "use_qalora": (False,),
    "layers_pattern": (None, []),
    "ensure_weight_tying": (False,),
    "use_bdlora": (None, False),
    "arrow_config": (None,),
    "kasa_config": (None,),
    "lora_ga_config": (None,),
    "monteclora_config": (None,),
    "exclude_modules": (None, []),
    "init_lora_weights": (True, False, None, "gaussian", "orthogonal", "eva"),
}

# Read, or without influence on what a trained adapter computes.
KNOWN_KEYS = {
    *_MUST_BE, "peft_type", "r", "lora_alpha", "use_rslora", "target_modules", "base_model_name_or_path", "revision",
    "layers_to_transform", "fan_in_fan_out", "task_type", "inference_mode", "lora_dropout",
    "auto_mapping", "peft_version", "runtime_config", "loftq_config", "eva_config", "corda_config", "velora_config",
    "megatron_core", "qalora_group_size",
}  # fmt: skip

# Values that peft imports as modules: not here, but wherever the adapter is loaded next.
_REMOTE_CODE = ("auto_map", "trust_remote_code", "custom_pipelines")
_LIBRARIES = ("transformers", "diffusers")
_MEGATRON = "megatron.core"


def parse_config(path: Path, content: bytes) -> dict[str, Any]:
    """The config of a plain LoRA.

    Raises:
        BadAdapter: not JSON that all readers understand alike, or anything but a plain LoRA.
    """
    try:
        config = read_plain(content, max_bytes=MAX_CONFIG_BYTES, max_depth=8, finite=False)
    except UnfitJson as error:
        raise BadAdapter(path, f"not valid JSON ({error})", "ask its author for an intact file") from error
    if not isinstance(config, dict):
        raise BadAdapter(path, "not a JSON object", "ask its author for an intact file")
    kind = config.get("peft_type")
    if kind != "LORA":
        raise BadAdapter(path, f"peft_type is {_shown(kind)}", "only LORA adapters can be scanned")
    for key, allowed in _MUST_BE.items():
        value = config.get(key, allowed[0])
        if not any(type(value) is type(option) and value == option for option in allowed):
            raise BadAdapter(path, f"{key} = {_shown(value)} is not supported", "this version scans plain LoRA only")
    _require_bounded(path, config)
    _refuse_imports(path, config)
    return config


def rank_and_alpha(path: Path, config: dict[str, Any]) -> tuple[int, float, bool]:
    """Rank, alpha and whether the scale is alpha / √rank instead of alpha / rank.

    Raises:
        BadAdapter: a number out of range.
    """
    rank, alpha, rslora = config.get("r"), config.get("lora_alpha"), config.get("use_rslora", False)
    if type(rank) is not int or not 1 <= rank <= _MAX_RANK:
        raise BadAdapter(path, f"r = {_shown(rank)}", f"the rank must be a whole number from 1 to {_MAX_RANK}")
    if isinstance(alpha, bool) or not isinstance(alpha, int | float) or not 0 < abs(alpha) <= _MAX_ALPHA:
        raise BadAdapter(path, f"lora_alpha = {_shown(alpha)}", "it must be a finite number other than 0")
    if type(rslora) is not bool:
        raise BadAdapter(path, f"use_rslora = {_shown(rslora)}", "it must be true or false")
    scaling = abs(alpha) / (math.sqrt(rank) if rslora else rank)
    if not 1 / _MAX_SCALING <= scaling <= _MAX_SCALING:
        raise BadAdapter(
            path,
            f"r = {rank} and lora_alpha = {_shown(alpha)} scale the update by {scaling:g}",
            f"a scale is between {1 / _MAX_SCALING:g} and {_MAX_SCALING:,.0f}",
        )
    return rank, float(alpha), rslora


def notes_on(config: dict[str, Any], config_file: str) -> tuple[str, ...]:
    """What a reader should know of a config that was accepted."""
    unknown = sorted(set(config) - KNOWN_KEYS)
    more = f" and {len(unknown) - _MAX_SHOWN} more" if len(unknown) > _MAX_SHOWN else ""
    names = ", ".join(visible(key, 60) for key in unknown[:_MAX_SHOWN])
    return (f"{config_file}: unknown keys ignored: {names}{more}",) if unknown else ()


def text(value: object) -> str | None:
    """A text that says something, or None."""
    return value if isinstance(value, str) and value else None


def _require_bounded(path: Path, config: dict[str, Any]) -> None:
    for key, value in config.items():
        if isinstance(value, str) and len(value) > _MAX_TEXT:
            raise BadAdapter(path, f"{visible(key, 60)} is {len(value):,} characters long", "no honest config's is")
        if isinstance(value, list) and len(value) > _MAX_LIST:
            raise BadAdapter(path, f"{visible(key, 60)} has {len(value):,} entries", "no honest config's has")
    for key in ("base_model_name_or_path", "revision"):
        value = config.get(key)
        if value is not None and (not isinstance(value, str) or not value.isprintable()):
            raise BadAdapter(path, f"{key} = {_shown(value)}", "it must be a printable text")
    if type(config.get("fan_in_fan_out", False)) is not bool:
        raise BadAdapter(path, f"fan_in_fan_out = {_shown(config['fan_in_fan_out'])}", "it must be true or false")


def _refuse_imports(path: Path, config: dict[str, Any]) -> None:
    for key in _REMOTE_CODE:
        if config.get(key):
            raise BadAdapter(path, f"{key} = {_shown(config[key])}", "no LoRA needs code of its author to be run")
    mapping = config.get("auto_mapping")
    library = mapping.get("parent_library") if isinstance(mapping, dict) else None
    if mapping is not None and not (isinstance(mapping, dict) and _is_part_of(library, _LIBRARIES)):
        raise BadAdapter(
            path, f"auto_mapping = {_shown(mapping)}", "peft would import what it names; no honest config needs it"
        )
    megatron = config.get("megatron_core", _MEGATRON)
    if megatron is not None and not _is_part_of(megatron, (_MEGATRON,)):
        raise BadAdapter(
            path, f"megatron_core = {_shown(megatron)}", "peft would import what it names; no honest config needs it"
        )


def _is_part_of(module: object, packages: tuple[str, ...]) -> bool:
    return module is None or (
        isinstance(module, str) and any(module == name or module.startswith(f"{name}.") for name in packages)
    )


def _shown(value: object) -> str:
    return one_line(repr(value)[:400])

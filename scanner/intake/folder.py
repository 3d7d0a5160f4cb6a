"""Finds the folder of an adapter, local or from the hub, and the files in it that are read."""

import json
from pathlib import Path

from huggingface_hub import snapshot_download

from scanner.base_models import HUB_ID
from scanner.errors import BadAdapter

CONFIG_FILE = "adapter_config.json"
WEIGHTS_FILE = "adapter_model.safetensors"
RECORD_FILE = "training.json"
_PICKLES = ("adapter_model.bin", "adapter_model.pt", "pytorch_model.bin")
_MAX_CONFIG_BYTES = 1_000_000
_MAX_NAME = 100


def find_folder(location: str) -> tuple[Path, str | None]:
    folder = Path(location)
    if folder.is_dir():
        return folder, None
    name, _, revision = location.partition("@")
    if folder.exists() or not HUB_ID.match(name) or ".." in name or location.startswith((".", "/")):
        raise BadAdapter(location, "no such adapter folder", "give a folder or a hub name user/adapter[@revision]")
    try:
        path = snapshot_download(
            name,
            revision=revision or None,
            allow_patterns=[CONFIG_FILE, WEIGHTS_FILE, RECORD_FILE],
            etag_timeout=10,
        )
    except Exception as error:  # each kind of network has its own way to fail, and all mean the same
        raise BadAdapter(
            location,
            f"no such folder, and not to be had from the hub ({type(error).__name__})",
            "check the path or the name, and the network",
        ) from error
    return Path(path), Path(path).name


def refuse_links_outside(folder: Path) -> None:
    for name in (CONFIG_FILE, WEIGHTS_FILE):
        try:
            inside = folder.resolve() in (folder / name).resolve().parents
        except (OSError, RuntimeError):
            inside = False
        if not inside:
            raise BadAdapter(
                folder / name, "a link to a file outside the adapter folder", "copy the file into the folder"
            )


def read_config_bytes(folder: Path) -> bytes:
    path = folder / CONFIG_FILE
    if not path.is_file():
        raise BadAdapter(folder, f"no {CONFIG_FILE} in it", "give the folder that peft's save_pretrained wrote")
    if path.stat().st_size > _MAX_CONFIG_BYTES:
        raise BadAdapter(path, f"larger than {_MAX_CONFIG_BYTES:,} bytes", "an adapter's config is a few kilobytes")
    try:
        return path.read_bytes()
    except OSError as error:
        raise BadAdapter(path, f"cannot be read ({error.strerror})", "check its permissions") from error


def claimed_recipe(folder: Path, from_hub: bool) -> str | None:
    """The recipe that `scan-train`'s record in the folder names, or None: a claim, and nothing rests on it.

    The hub's cache is made of links; a link in a folder that somebody sent is not followed.
    """
    path = folder / RECORD_FILE
    try:
        if (path.is_symlink() and not from_hub) or not path.is_file() or path.stat().st_size > _MAX_CONFIG_BYTES:
            return None
        record = json.loads(path.read_bytes())
        name, seed = record["recipe"]["name"], record["seed"]
    except (OSError, ValueError, LookupError, TypeError, RecursionError):
        return None
    if not isinstance(name, str) or not isinstance(seed, int):
        return None
    return f"{name[:_MAX_NAME]}, seed {seed % 2**63}"


def weights_file(folder: Path) -> Path:
    weights = folder / WEIGHTS_FILE
    if weights.is_file():
        return weights
    for name in _PICKLES:
        if (folder / name).exists():
            raise BadAdapter(
                folder / name,
                "pickled weights are refused, since reading them can run code",
                f"ask its author for {WEIGHTS_FILE}",
            )
    raise BadAdapter(
        folder,
        f"no {WEIGHTS_FILE} in it",
        "give the folder that peft's save_pretrained wrote; pickled weights are refused",
    )

"""Finds the folder of an adapter, local or from the hub, and the files in it that are read."""

import stat
from dataclasses import dataclass
from pathlib import Path

from huggingface_hub import HfApi, snapshot_download

from scanner.errors import BadAdapter
from scanner.intake.config import MAX_CONFIG_BYTES
from scanner.intake.plain_json import UnfitJson, read_plain
from scanner.locations import require_adapters
from scanner.models.base_models import HUB_ID

CONFIG_FILE = "adapter_config.json"
WEIGHTS_FILE = "adapter_model.safetensors"
RECORD_FILE = "training.json"
PICKLED_WEIGHTS = ("adapter_model.bin", "adapter_model.pt", "pytorch_model.bin")
# What is fetched from the hub: what is read, and what is compared with the base's.
_FETCHED = (
    CONFIG_FILE, WEIGHTS_FILE, RECORD_FILE, "chat_template.jinja", "chat_template.json", "tokenizer.json",
    "tokenizer_config.json", "processor_config.json", "config.json",
)  # fmt: skip
_MAX_FETCHED_BYTES = 5 * 2**30
_HUB_TIMEOUT_S = 10.0
_MAX_NAME = 100


@dataclass(frozen=True)
class AdapterFolder:
    """Where an adapter lies; `revision` is the hub's commit, None for a local folder.

    `left_on_hub`: the files that were not fetched, None where the hub could not be asked.
    """

    path: Path
    revision: str | None = None
    left_on_hub: tuple[str, ...] | None = ()


def find_folder(location: str) -> AdapterFolder:
    """A local folder, or one fetched from the hub; no network is used unless `location` is a hub name.

    Raises:
        BadAdapter: neither.
    """
    require_adapters([location])
    folder = Path(location)
    if folder.is_dir():
        return AdapterFolder(folder)
    name, _, revision = location.partition("@")
    if not HUB_ID.match(name) or ".." in name or location.startswith((".", "/")):
        raise BadAdapter(location, "no such adapter folder", "give a folder or a hub name user/adapter[@revision]")
    commit, left = _ask_hub(location, name, revision or None)
    try:
        path = snapshot_download(name, revision=commit, allow_patterns=list(_FETCHED), etag_timeout=_HUB_TIMEOUT_S)
    except Exception as error:  # each kind of network has its own way to fail, and all mean the same
        raise BadAdapter(
            location,
            f"no such folder, and not to be had from the hub ({type(error).__name__})",
            "check the path or the name, and the network",
        ) from error
    return AdapterFolder(Path(path), Path(path).name, left)


def _ask_hub(location: str, name: str, revision: str | None) -> tuple[str | None, tuple[str, ...] | None]:
    """The commit to fetch and the files that will be left; sizes are looked at before anything is fetched."""
    try:
        info = HfApi().model_info(name, revision=revision, timeout=_HUB_TIMEOUT_S, files_metadata=True)
        files = {item.rfilename: item.size or 0 for item in info.siblings or ()}
    except Exception:  # offline, or not there: the cache may still have it, and fetching says what is wrong
        return revision, None
    size = sum(files.get(file, 0) for file in _FETCHED)
    if size > _MAX_FETCHED_BYTES:
        raise BadAdapter(location, f"{size:,} bytes on the hub", "no adapter that can be scanned is that large")
    return info.sha or revision, tuple(sorted(set(files) - set(_FETCHED)))


def refuse_links_outside(folder: Path) -> None:
    """Refuses config or weights that are links out of the folder.

    Raises:
        BadAdapter: naming the link.
    """
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
    """The content of the config.

    Raises:
        BadAdapter: not there, no ordinary file, too large, or not to be read.
    """
    path = folder / CONFIG_FILE
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise BadAdapter(path, "no ordinary file", "give the folder that peft's save_pretrained wrote")
        with path.open("rb") as stream:
            content = stream.read(MAX_CONFIG_BYTES + 1)
    except FileNotFoundError as error:
        raise BadAdapter(
            folder, f"no {CONFIG_FILE} in it", "give the folder that peft's save_pretrained wrote"
        ) from error
    except OSError as error:
        raise BadAdapter(path, f"cannot be read ({error.strerror})", "check its permissions") from error
    if len(content) > MAX_CONFIG_BYTES:
        raise BadAdapter(path, f"larger than {MAX_CONFIG_BYTES:,} bytes", "an adapter's config is a few kilobytes")
    return content


def claimed_recipe(folder: Path, from_hub: bool) -> str | None:
    """The recipe that `scan-train`'s record in the folder names, or None: a claim, and nothing rests on it.

    The hub's cache is made of links; a link in a folder that somebody sent is not followed.
    """
    path = folder / RECORD_FILE
    try:
        if (path.is_symlink() and not from_hub) or not path.is_file() or path.stat().st_size > MAX_CONFIG_BYTES:
            return None
        record = read_plain(path.read_bytes(), max_bytes=MAX_CONFIG_BYTES)
        name, seed = record["recipe"]["name"], record["seed"]
    except (OSError, UnfitJson, LookupError, TypeError):
        return None
    if not isinstance(name, str) or type(seed) is not int:
        return None
    return f"{name[:_MAX_NAME]}, seed {seed % 2**63}"


def weights_file(folder: Path) -> Path:
    """Where the weights are.

    Raises:
        BadAdapter: no safetensors file; pickled weights are named.
    """
    weights = folder / WEIGHTS_FILE
    if weights.is_file():
        return weights
    for name in PICKLED_WEIGHTS:
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

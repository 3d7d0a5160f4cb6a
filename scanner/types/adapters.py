"""Which adapters were read, and what lies in their folders."""

from dataclasses import dataclass


@dataclass(frozen=True)
class FolderFile:
    """A file of an adapter's folder.

    Attributes:
        name: inside the folder, with `/`; hidden characters spelled out.
        size: bytes; sha256: of the content, None where it was not read, for the reason in `remark`.
        kind: what it is by its content, such as `safetensors`, `pickle`, `text`.
        remark: what a reader should know of it, "" where that is nothing.
    """

    name: str
    size: int
    sha256: str | None
    kind: str
    remark: str = ""


@dataclass(frozen=True)
class AdapterIdentity:
    """Which adapter it was. `role` is `suspect` or `reference`; `notes` are remarks of the intake.

    `claimed_recipe` is what its folder says of how it was made: nothing rests on it. `files` are all of its folder.
    """

    role: str
    name: str
    revision: str | None
    weights_sha256: str
    config_sha256: str
    base_model: str
    base_revision: str | None
    rank: int
    alpha: float
    projections: tuple[str, ...]
    n_parameters: int
    notes: tuple[str, ...] = ()
    claimed_recipe: str | None = None
    use_rslora: bool = False
    fan_in_fan_out: bool = False
    files: tuple[FolderFile, ...] = ()

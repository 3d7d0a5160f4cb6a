"""What a hostile case is, and the few moves that most of them are made of."""

import json
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from scanner.intake import CONFIG_FILE, WEIGHTS_FILE

Spoil = Callable[[Path], object]


@dataclass(frozen=True)
class Case:
    """A way to spoil an honest adapter folder.

    Attributes:
        kind: what is attacked; the table in `docs/security.md` counts by it.
        spoil: changes the folder.
        severity: `block`: the scan ends with `line` on stderr and exit code 2. `warning`: `line` is among the report's
            warnings. `note`: it is among the adapter's notes. In both the scan goes on.
        line: what must be printed, in part.
        source: the public advisory or thread that describes it, "" where it is our own.
    """

    kind: str
    name: str
    spoil: Spoil
    severity: str
    line: str
    source: str = ""

    @property
    def exit_code(self) -> int | None:
        """2 where the adapter is refused; None where the scan goes on to a verdict."""
        return 2 if self.severity == "block" else None


def configured(**changes: Any) -> Spoil:
    def spoil(folder: Path) -> None:
        config = json.loads((folder / CONFIG_FILE).read_text())
        (folder / CONFIG_FILE).write_text(json.dumps(config | changes))

    return spoil


def with_config(content: str | bytes) -> Spoil:
    data = content if isinstance(content, bytes) else content.encode()
    return lambda folder: (folder / CONFIG_FILE).write_bytes(data)


def with_tensors(change: Callable[[dict[str, torch.Tensor]], object]) -> Spoil:
    def spoil(folder: Path) -> None:
        tensors = load_file(folder / WEIGHTS_FILE)
        change(tensors)
        save_file(tensors, folder / WEIGHTS_FILE)

    return spoil


def with_header(change: Callable[[dict[str, Any]], object]) -> Spoil:
    """Rewrites the header's entries and leaves the data alone."""

    def spoil(folder: Path) -> None:
        header, data = read_safetensors(folder)
        change(header)
        write_safetensors(folder, json.dumps(header).encode(), data)

    return spoil


def read_safetensors(folder: Path) -> tuple[dict[str, Any], bytes]:
    content = (folder / WEIGHTS_FILE).read_bytes()
    length = int.from_bytes(content[:8], "little")
    return json.loads(content[8 : 8 + length]), content[8 + length :]


def write_safetensors(folder: Path, header: bytes, data: bytes, length: int | None = None) -> None:
    size = struct.pack("<Q", len(header) if length is None else length)
    (folder / WEIGHTS_FILE).write_bytes(size + header + data)


def first(tensors: dict[str, Any], side: str = "lora_B") -> str:
    return next(name for name in sorted(tensors) if side in name)


def file(name: str, content: bytes | str) -> Spoil:
    data = content if isinstance(content, bytes) else content.encode()

    def spoil(folder: Path) -> None:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)

    return spoil

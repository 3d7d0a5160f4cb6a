"""Honest files of all sorts are not taken for archives, programs or models."""

import io
import tarfile

import numpy as np
import pytest
import torch

from scanner.intake.kinds import ARCHIVE, MODEL, POINTER, TEXT, UNKNOWN, ZIP, kind_of
from scanner.intake.names import is_weights, storage_of
from scanner.intake.pickled.zip_table import read_table

POINTER_TEXT = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"0" * 64 + b"\nsize 9\n"


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"MZ is a city\n" * 99, TEXT), (b"070701 is a number\n" * 99, TEXT), (b"hsqs\n", TEXT), (b" " * 600, TEXT),
        (b"1" * 2000, TEXT), (bytes(2000), UNKNOWN), (bytes(range(255, 0, -1)) * 9, UNKNOWN), (POINTER_TEXT, POINTER),
        (POINTER_TEXT + b"x" * 9000, TEXT), (b"", TEXT), (b"\x89HDF\r\n\x1a\n" + bytes(9), MODEL),
    ],
)  # fmt: skip
def test_kinds(content: bytes, kind: str) -> None:
    assert kind_of(content, len(content)) == kind


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_a_tar_without_its_mark_is_one(form: int) -> None:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=form) as archive:
        archive.addfile(tarfile.TarInfo("a"))
    block = bytearray(stream.getvalue())
    block[257:265] = bytes(8)
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block[:512])
    assert kind_of(bytes(block), len(block)) == ARCHIVE


def test_what_torch_and_numpy_write_has_one_table() -> None:
    for n_tensors in (0, 1, 500):
        stream = io.BytesIO()
        torch.save({str(n): torch.ones(n % 7 + 1) for n in range(n_tensors)}, stream)
        assert kind_of(stream.getvalue(), len(stream.getvalue())) == ZIP
        assert read_table(stream).n_members >= n_tensors
    stream = io.BytesIO()
    np.savez_compressed(stream, a=np.ones(3), b=np.zeros(9))
    assert read_table(stream).n_members == 2


@pytest.mark.parametrize(
    ("name", "holds_tensors", "weights"),
    [
        ("optimizer.pt", True, False), ("rng_state_3.pth", True, False), ("training_args.bin", False, False),
        ("scheduler.pt", False, False), ("losses.pt", False, False), ("losses.pt", True, True),
        ("Model.PT", False, True),
        ("pytorch_model-00001-of-00002.bin", False, True), ("checkpoint-9/optimizer.bin", True, False),
        ("adapter_config.json", False, False), ("model_card.pt", False, True), ("trainer_state.json", True, False),
    ],
)  # fmt: skip
def test_names_of_weights(name: str, holds_tensors: bool, weights: bool) -> None:
    assert is_weights(name, holds_tensors) == weights


@pytest.mark.parametrize(
    ("name", "pickle"),
    [
        ("archive/data/0", "archive/data.pkl"), ("data/12", "data.pkl"), ("a/.data/3", "a/data.pkl"),
        ("archive/data/0.pkl", None), ("archive/data/x", None), ("archive/datas/0", None), ("archive/data/0/1", None),
        ("archive/data/\u0660", None),
    ],
)  # fmt: skip
def test_storages(name: str, pickle: str | None) -> None:
    assert storage_of(name) == pickle

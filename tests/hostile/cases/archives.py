"""Archives: what torch's, numpy's and other readers make of a zip, and archives that are not opened."""

import gzip
import io
import lzma
import pickle
import struct
import tarfile
import zipfile
from pathlib import Path

import torch

from tests.hostile.cases.case import Case, Spoil, file
from tests.hostile.cases.pickles import SYSTEM, calling, object_array, with_base, zipped

_UNSAFE = "a pickle that is not safe to load: "
_TOO_MUCH = "its folder's pickles and archives take more than 2,000,000 operations to judge"
_NOT_OPENED = "an archive that was not opened"
_PROGRAM = "an archive with a program in it, "
_TORCH_MEMBERS = {"archive/data.pkl": SYSTEM, "archive/version": b"3\n"}
_HARMLESS = {"archive/data.pkl": pickle.dumps({}, 2), "archive/version": b"3\n"}
_ELF = b"\x7fELF\x02\x01\x01" + b"\0" * 64


def _archive(name: str, content: bytes, line: str, source: str = "", severity: str = "block", path: str = "") -> Case:
    path = path or "optimizer.pt"
    return Case("archives", name, file(path, content), severity, f"{path}: {line}", source)


def _many(name: str, spoil: Spoil, line: str) -> Case:
    return Case("archives", name, spoil, "block", line)


def _long_header(length: int = 9_900) -> bytes:
    """An array of numbers whose shape is spelled at length."""
    header = "{'descr': '<f4', 'fortran_order': False, 'shape': (1,)}"
    zeros = "0," * ((length - len(header)) // 2)
    return b"\x93NUMPY\x02\x00" + struct.pack("<I", length) + header.replace("1,", zeros).ljust(length).encode()


def _renamed_in_the_table() -> bytes:
    """The table at the end names the member otherwise than the member's own header."""
    content = bytearray(zipped(_TORCH_MEMBERS))
    place = content.rindex(b"archive/data.pkl")
    content[place : place + 16] = b"archive/data.txt"
    return bytes(content)


def _flagged() -> bytes:
    content = bytearray(zipped(_TORCH_MEMBERS))
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        content[content.index(signature) + offset] |= 0x1
    return bytes(content)


def _wrong_checksum() -> bytes:
    content = bytearray(zipped(_TORCH_MEMBERS))
    for signature, offset in ((b"PK\x03\x04", 14), (b"PK\x01\x02", 16)):
        place = content.index(signature) + offset
        content[place : place + 4] = b"\xde\xad\xbe\xef"
    return bytes(content)


def _twice() -> bytes:
    content = zipped({"archive/data.pkl": pickle.dumps({}), "archive/datb.pkl": SYSTEM})
    return content.replace(b"archive/datb.pkl", b"archive/data.pkl")


def _tar() -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        member = tarfile.TarInfo("pickle")
        member.size = len(SYSTEM)
        archive.addfile(member, io.BytesIO(SYSTEM))
    return stream.getvalue()


def _v7_tar() -> bytes:
    """A tar of the first form: no mark, only a checksum over its first block."""
    content = bytearray(_tar())
    content[257:265] = bytes(8)
    content[148:156] = b" " * 8
    content[148:156] = b"%06o\0 " % sum(content[:512])
    return bytes(content)


def _commented() -> bytes:
    return zipped(_HARMLESS)[:-2] + b"\x04\0note"


def _torch_file() -> bytes:
    stream = io.BytesIO()
    torch.save({"a": torch.ones(3)}, stream)
    return stream.getvalue()


def _moved_long_end() -> bytes:
    """torch's long form of the end, its locator naming another place: readers follow it or look right before it."""
    content = bytearray(_torch_file())
    place = content.rindex(b"PK\x06\x07") + 8
    content[place : place + 8] = (0).to_bytes(8, "little")
    return bytes(content)


def _in_each_other() -> bytes:
    """Two members of the table at one place of the file."""
    content = bytearray(zipped({"a": b"x" * 5_000, "b": b"y"}))
    second = content.rindex(b"PK\x01\x02")
    content[second + 20 : second + 28] = (5_000).to_bytes(4, "little") * 2
    return bytes(content)


def _many_zips(members: dict[str, bytes], n_files: int) -> Spoil:
    def spoil(folder: Path) -> None:
        content = zipped(members, zipfile.ZIP_DEFLATED)
        for number in range(n_files):
            file(f"runs/{number}.zip", content)(folder)

    return spoil


CASES = (
    _archive("a pickle as torch saves it", zipped(_TORCH_MEMBERS), f"{_UNSAFE}os.system"),
    _archive("a member of another ending", zipped({"archive/config.p": SYSTEM}), f"{_UNSAFE}os.system",
             "GHSA-769v-p64c-89pr"),
    _archive("a member as text", zipped({"archive/readme": calling("os", "system", protocol=0)}), f"{_UNSAFE}os.system"),
    _archive("a pickle among the storages", zipped({"archive/data/0": b"\0" * 64, "archive/x/data.pkl": SYSTEM}),
             f"{_UNSAFE}os.system"),
    _archive("two names for one member", _renamed_in_the_table(), f"{_UNSAFE}a part of the archive cannot be read",
             "GHSA-7q5r-7gvp-wc82, CVE-2025-1944"),
    _archive("marked as encrypted", _flagged(), f"{_UNSAFE}an archive marked as encrypted",
             "GHSA-w8jq-xcqf-f792, CVE-2025-1945"),
    _archive("a checksum that is wrong", _wrong_checksum(), f"{_UNSAFE}a part of the archive cannot be read",
             "CVE-2025-10156"),
    _archive("a name twice", _twice(), f"{_UNSAFE}an archive that holds a name twice"),
    _archive("a bomb", zipped({"archive/data.pkl": b"\0" * 40_000_000}, zipfile.ZIP_DEFLATED),
             f"{_UNSAFE}an archive that unpacks to 40,000,000 bytes"),
    _archive("30,000 members", zipped({str(number): b"" for number in range(30_000)}), f"{_UNSAFE}an archive of 30,000"),
    _archive("cut in half", zipped(_TORCH_MEMBERS)[:100], f"{_UNSAFE}a part of the archive cannot be read"),
    _archive("a pickle before a harmless zip", SYSTEM + zipped({"a": b"b"}), "two kinds of file at once"),
    _archive("a text before a zip", b"# Notes\n" * 9 + zipped(_TORCH_MEMBERS), "two kinds of file at once", path="NOTES.md"),
    _archive("an array of objects", zipped({"a.npy": object_array()}), _UNSAFE, path="data.npz"),
    _archive("a zip in a zip", zipped({"inner.zip": zipped(_TORCH_MEMBERS)}), "holds 1 archives that were not opened",
             severity="warning", path="runs.zip"),
    _archive("7z", b"7z\xbc\xaf\x27\x1c" + b"\0" * 64, "an archive that was not opened", severity="warning"),
    _archive("gzip", gzip.compress(SYSTEM), "an archive that was not opened", severity="warning", path="state.joblib"),
    _archive("tar", _tar(), "an archive that was not opened", severity="warning"),
    _archive("another archive before it", zipped(_TORCH_MEMBERS) + zipped(_HARMLESS), f"{_UNSAFE}an archive with bytes before"),
    _archive("a comment", _commented(), f"{_UNSAFE}an archive with a comment"),
    _archive("bytes behind its end", zipped(_HARMLESS) + b"\0" * 9, f"{_UNSAFE}an archive with a comment or other bytes"),
    _archive("a second end", zipped({**_HARMLESS, "archive/PK\x05\x06": b""}), f"{_UNSAFE}an archive with two ends"),
    _archive("a long end elsewhere", _moved_long_end(), f"{_UNSAFE}an archive with two ends"),
    _archive("members in each other", _in_each_other(), f"{_UNSAFE}an archive whose members lie in each other"),
    _archive("packed by lzma", zipped(_HARMLESS, zipfile.ZIP_LZMA), f"{_UNSAFE}an archive packed in another way"),
    _archive("a pickle in a folder of data", zipped({"run/data/optimizer.pt": SYSTEM}), f"{_UNSAFE}os.system", path="runs.zip"),
    _archive("a pickle by number, and nothing that uses it", zipped({"run/data/0": SYSTEM}), f"{_UNSAFE}os.system"),
    _archive("an array of objects, with a number with a base", zipped({"a.npy": object_array(with_base())}), _UNSAFE,
             path="data.npz"),
    _archive("a program in it", zipped({"run": _ELF}), f"{_PROGRAM}run", path="runs.zip"),
    _archive("a library in it", zipped({"lib.so": b"x"}), f"{_PROGRAM}lib.so", path="runs.zip"),
    _archive("a library in a storage", zipped({"lib/data/x.so": _ELF}), f"{_PROGRAM}lib/data/x.so", path="runs.zip"),
    _archive("a wheel that is one", zipped({"a.txt": b"x"}), "a program; no adapter needs one", path="a-1.0.whl"),
    _archive("Python that is a zip", zipped({"a.txt": b"x"}), "code, which an adapter does not need", severity="warning",
             path="setup.py"),
    _archive("code in it", zipped({"sitecustomize.py": b"import os\n", "setup": b"#!/bin/sh\n"}), "holds 2 files of code",
             severity="warning", path="runs.zip"),
    _archive("weights in it", zipped({"model.weights.h5": b"\x89HDF\r\n\x1a\n" + b"\0" * 64}), "holds 1 files of weights",
             severity="warning", path="m.zip"),
    _archive("named like a pickle in it", zipped({"state.pt": b"\xff\xfe" * 9}), "holds 1 files that are named like pickles",
             severity="warning", path="runs.zip"),
    _archive("lzma alone", lzma.compress(SYSTEM, lzma.FORMAT_ALONE), _NOT_OPENED, severity="warning", path="state.joblib"),
    _archive("tar of the first form", _v7_tar(), _NOT_OPENED, severity="warning"),
    *(_archive(name, content + b"\0" * 64, _NOT_OPENED, severity="warning", path="x.dat") for name, content in {
        "zstd behind a frame that is skipped": b"\x50\x2a\x4d\x18", "lzip": b"LZIP\x01", "cabinet": b"MSCF\0\0\0\0",
        "ar": b"!<arch>\ndebian-binary   ", "cpio": b"070701", "rpm": b"\xed\xab\xee\xdb", "squashfs": b"hsqs",
        "a compound file": b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1",
    }.items()),
    _archive("80 pickles of 198,000 operations in 16 KB",
             zipped({"a/data.pkl": (b"\x80\x04" + b"N0" * 99_000 + b"N.") * 80}, zipfile.ZIP_DEFLATED), _TOO_MUCH),
    _archive("88 members of 190,000 operations", zipped({str(n): b"N" * 190_000 + b"\xff" for n in range(88)},
             zipfile.ZIP_DEFLATED), _TOO_MUCH, path="runs.zip"),
    _archive("300 arrays with a header of 9,900 bytes", zipped({f"{n}.npy": _long_header() for n in range(300)},
             zipfile.ZIP_DEFLATED), _TOO_MUCH, path="data.npz"),
    _archive("an array with a header of 64 KB", _long_header(60_000), f"{_UNSAFE}its header cannot be read (60,000 bytes long)",
             path="data.npy"),
    _many("100 archives of a bomb each", _many_zips({"a": bytes(12_000_000)}, 100), "unpack to more than 1,073,741,824 bytes"),
    _many("20 archives of 15,000 members", _many_zips({str(n): b"" for n in range(15_000)}, 20), _TOO_MUCH),
)  # fmt: skip

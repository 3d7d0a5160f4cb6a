"""Pickles and archives: the evasions that picklescan and torch's loaders are known for, each named after its advisory."""

import gzip
import io
import pickle
import pickletools
import tarfile
import zipfile

import numpy as np
import torch

from tests.hostile.cases.case import Case, file

# What each program would do if anything ran it: the tests look for this file.
CANARY = "hostile-ran"
_TOUCH = f"touch {CANARY}"
_UNSAFE = "a pickle that is not safe to load: "
_SCAN = "mmaitre314/picklescan"


def calling(module: str, name: str, argument: str = _TOUCH, protocol: int = 4) -> bytes:
    """A pickle that calls a function with one text."""
    if protocol == 0:
        return f"c{module}\n{name}\n(V{argument}\ntR.".encode()
    return b"\x80\x04" + _text(module) + _text(name) + b"\x93(" + _text(argument) + b"tR."


def _text(value: str) -> bytes:
    return b"\x8c" + bytes([len(value)]) + value.encode()


def zipped(members: dict[str, bytes], method: int = zipfile.ZIP_STORED) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", method) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return stream.getvalue()


SYSTEM = calling("os", "system")
_TORCH_MEMBERS = {"archive/data.pkl": SYSTEM, "archive/version": b"3\n"}


def _pickle(name: str, content: bytes, line: str, source: str = "", path: str = "optimizer.pt") -> Case:
    return Case("pickles", name, file(path, content), "block", f"{path}: {line}", source)


def _archive(name: str, content: bytes, line: str, source: str = "", severity: str = "block", path: str = "") -> Case:
    path = path or "optimizer.pt"
    return Case("archives", name, file(path, content), severity, f"{path}: {line}", source)


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


def _object_array() -> bytes:
    stream = io.BytesIO()
    np.save(stream, np.array([{}], dtype=object), allow_pickle=True)
    head, _, _ = stream.getvalue().partition(b"\x80")
    return head + SYSTEM


def _legacy_torch(obj: bytes) -> bytes:
    stream = io.BytesIO()
    torch.save({}, stream, _use_new_zipfile_serialization=False)
    parts, rest = [], stream.getvalue()
    for _ in range(4):
        end = next(position for operation, _, position in pickletools.genops(rest) if operation.name == "STOP")
        parts.append(rest[: (end or 0) + 1])
        rest = rest[(end or 0) + 1 :]
    return b"".join([*parts[:3], obj, rest])


def _tar() -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        member = tarfile.TarInfo("pickle")
        member.size = len(SYSTEM)
        archive.addfile(member, io.BytesIO(SYSTEM))
    return stream.getvalue()


def _memo_confusion() -> bytes:
    """Names put by number, then overwritten with harmless ones by MEMOIZE for a reader that miscounts."""
    return (
        b"\x80\x04" + _text("os") + b"q\x00" + _text("system") + b"q\x01"
        + _text("torch._utils") + b"\x94" + _text("_rebuild_tensor_v2") + b"\x94"
        + b"h\x00h\x01\x93(" + _text(_TOUCH) + b"tR."
    )  # fmt: skip


CASES = (
    _pickle("os.system", SYSTEM, f"{_UNSAFE}os.system"),
    _pickle("os.system, as text", calling("os", "system", protocol=0), f"{_UNSAFE}os.system"),
    _pickle("by the opcode INST", b"(V" + _TOUCH.encode() + b"\nios\nsystem\n.", f"{_UNSAFE}os.system", f"{_SCAN}#13"),
    _pickle("names put twice into the memo", _memo_confusion(), _UNSAFE, f"{_SCAN}#14"),
    _pickle("pip.main", calling("pip", "main"), f"{_UNSAFE}pip.main", "GHSA-655q-fx9r-782v, CVE-2025-1716"),
    _pickle("a name without an ending", SYSTEM, f"{_UNSAFE}os.system", "GHSA-769v-p64c-89pr, CVE-2025-1889", "config"),
    _pickle("a text's name", calling("os", "system", protocol=0), f"{_UNSAFE}os.system", "CVE-2025-1889", "NOTES.md"),
    _pickle("a plain pickle with a model's ending", SYSTEM, f"{_UNSAFE}os.system", "CVE-2025-10155", "rng_state.pth"),
    _pickle("a module below a dangerous one", calling("asyncio.unix_events", "_UnixSubprocessTransport._start"), _UNSAFE,
            "CVE-2025-10157"),
    _pickle("broken after its call", SYSTEM[:-1] + b"\xff\xff", f"{_UNSAFE}os.system", "GHSA-9gvj-pp9x-gcfr"),
    _pickle("cut short before its end", SYSTEM[:-1], f"{_UNSAFE}os.system", "GHSA-9gvj-pp9x-gcfr"),
    _pickle("a second pickle after a harmless one", pickle.dumps({}) + SYSTEM, f"{_UNSAFE}os.system"),
    _pickle("a harmless pickle, then garbage", pickle.dumps({"a": 1}) + b"\xff" * 64, f"{_UNSAFE}it cannot be read"),
    _pickle("pkgutil.resolve_name", calling("pkgutil", "resolve_name", "os:system"), _UNSAFE, "GHSA-vvpj-8cmc-gx39"),
    _pickle("importlib.import_module", calling("importlib", "import_module", "os"),
            f"{_UNSAFE}importlib.import_module", f"{_SCAN}#66"),
    _pickle("marshal.loads", calling("marshal", "loads", "x"), f"{_UNSAFE}marshal.loads", f"{_SCAN}#74"),
    _pickle("mailcap.findmatch", calling("mailcap", "findmatch", "x"), f"{_UNSAFE}mailcap.findmatch", f"{_SCAN}#69"),
    _pickle("a pickle that loads a pickle", calling("torch.storage", "_load_from_bytes", "x"), _UNSAFE),
    _pickle("code by its parts", calling("torch.fx.graph_module", "reduce_graph_module", "x"), _UNSAFE),
    _pickle("a function of a library of its own", calling("evil_helpers", "run"), f"{_UNSAFE}evil_helpers.run"),
    _pickle("a way through a trainers' module", calling("transformers.training_args", "os.system"), _UNSAFE),
    _pickle("a name with control codes", calling("os\x1b[2J", "sy\x00"), f"{_UNSAFE}os<U+001B>[2J.sy<U+0000>", "make fuzz"),
    _pickle("a name that is none", calling("os ", "system"), _UNSAFE),
    _pickle("an import by number", b"\x80\x02\x82\x01(U\x01atR.", f"{_UNSAFE}it cannot be read to its end"),
    _pickle("half a million operations", b"\x80\x04" + b"N0" * 300_000 + SYSTEM[2:], f"{_UNSAFE}it cannot be read"),
    _pickle("60,000 lists in each other", b"\x80\x04" + b"]" * 60_000 + b"a" * 59_999 + SYSTEM[2:], f"{_UNSAFE}os.system"),
    _pickle("a number of a million digits", b"\x80\x02I" + b"9" * 1_000_000 + b"\n.", f"{_UNSAFE}it cannot be read"),
    _pickle("torch's older format", _legacy_torch(SYSTEM), f"{_UNSAFE}os.system"),
    _pickle("torch's older format, its magic called", SYSTEM[:-1] + b"0" + _legacy_torch(b"N.")[2:],
            f"{_UNSAFE}os.system", "picklescan: 'magic number bypass'"),
    _pickle("an array of objects", _object_array(), f"{_UNSAFE}", path="loss.npy"),
    _pickle("an array with a header of code", b"\x93NUMPY\x01\x00\x76\x00" + b"__import__('os')".ljust(118),
            f"{_UNSAFE}its header cannot be read", path="loss.npy"),
    Case("pickles", "a class that nobody knows",
         file("training_args.bin", b"\x80\x04" + _text("my_trainer.args") + _text("MyArguments") + b"\x93)\x81."),
         "warning", "training_args.bin: a pickle that imports my_trainer.args.MyArguments when it is loaded"),
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
    _archive("an array of objects", zipped({"a.npy": _object_array()}), _UNSAFE, path="data.npz"),
    _archive("a zip in a zip", zipped({"inner.zip": zipped(_TORCH_MEMBERS)}), "holds 1 archives that were not opened",
             severity="warning", path="runs.zip"),
    _archive("7z", b"7z\xbc\xaf\x27\x1c" + b"\0" * 64, "an archive that was not opened", severity="warning"),
    _archive("gzip", gzip.compress(SYSTEM), "an archive that was not opened", severity="warning", path="state.joblib"),
    _archive("tar", _tar(), "an archive that was not opened", severity="warning"),
)  # fmt: skip

"""Pickles and arrays: the evasions that picklescan and torch's loaders are known for, each named after its advisory."""

import io
import pickle
import pickletools
import zipfile
from pathlib import Path

import torch

from tests.hostile.cases.case import Case, file

# What each program would do if anything ran it: the tests look for this file.
CANARY = "hostile-ran"
_TOUCH = f"touch {CANARY}"
_UNSAFE = "a pickle that is not safe to load: "
_TOO_MUCH = "its folder's pickles and archives take more than 2,000,000 operations to judge"
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


def _pickle(name: str, content: bytes, line: str, source: str = "", path: str = "optimizer.pt") -> Case:
    return Case("pickles", name, file(path, content), "block", f"{path}: {line}", source)


def object_array(pickled: bytes = SYSTEM, quote: str = "'", gap: int = 0) -> bytes:
    """An array of objects; its header with other quotes, or with a gap before the type, than numpy writes."""
    header = ("{'fortran_order': False, 'shape': (1,), " + " " * gap + "'descr': '|O'}\n").replace("'", quote).encode()
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + pickled


def with_base(pickled: bytes = calling("os", "system", protocol=0)) -> bytes:
    """A number with a base, which Python's pickletools cannot read and its unpickler can."""
    return b"I0x10\n0" + pickled


def _legacy_torch(obj: bytes) -> bytes:
    stream = io.BytesIO()
    torch.save({}, stream, _use_new_zipfile_serialization=False)
    parts, rest = [], stream.getvalue()
    for _ in range(4):
        end = next(position for operation, _, position in pickletools.genops(rest) if operation.name == "STOP")
        parts.append(rest[: (end or 0) + 1])
        rest = rest[(end or 0) + 1 :]
    return b"".join([*parts[:3], obj, rest])


def _memo_confusion() -> bytes:
    """Names put by number, then overwritten with harmless ones by MEMOIZE for a reader that miscounts."""
    return (
        b"\x80\x04" + _text("os") + b"q\x00" + _text("system") + b"q\x01"
        + _text("torch._utils") + b"\x94" + _text("_rebuild_tensor_v2") + b"\x94"
        + b"h\x00h\x01\x93(" + _text(_TOUCH) + b"tR."
    )  # fmt: skip


def _many_files(folder: Path) -> None:
    for number in range(60):
        (folder / f"m{number}").write_bytes(b"N" * 190_000 + b"\xff")


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
    _pickle("an array of objects", object_array(), f"{_UNSAFE}", path="loss.npy"),
    _pickle("an array with a header of code", b"\x93NUMPY\x01\x00\x76\x00" + b"__import__('os')".ljust(118),
            f"{_UNSAFE}its header cannot be read", path="loss.npy"),
    Case("pickles", "a class that nobody knows",
         file("training_args.bin", b"\x80\x04" + _text("my_trainer.args") + _text("MyArguments") + b"\x93)\x81."),
         "warning", "training_args.bin: a pickle that imports my_trainer.args.MyArguments when it is loaded"),
    _pickle("a number with a base", with_base(), f"{_UNSAFE}it cannot be read to its end", path="optimizer.pkl"),
    _pickle("a number with a base, in a text", with_base(), f"{_UNSAFE}it cannot be read to its end", path="NOTES.md"),
    _pickle("a number with a NUL in it", b"I1\0\n0" + calling("os", "system", protocol=0), f"{_UNSAFE}it cannot be read"),
    _pickle("a text beyond ASCII", b"S'\\xc3\\xa9'\n0" + calling("os", "system", protocol=0), f"{_UNSAFE}it cannot be read"),
    _pickle("a storage's name that is no escape", b"c\\x\nFloatStorage\n0" + calling("os", "system", protocol=0),
            f"{_UNSAFE}it cannot be read"),
    _pickle("a megabyte as the name of 900 imports",
            b"\x80\x04B" + (10**6).to_bytes(4, "little") + b"\0" * 10**6 + b"q\0" + b"h\0h\0\x93" * 900 + b".",
            f"{_UNSAFE}it cannot be read to its end (an import of what is no name)"),
    _pickle("a second pickle after 16 MiB", b"\x80\x03B" + (2**24 - 8).to_bytes(4, "little") + bytes(2**24 - 8) + b"." + SYSTEM,
            f"{_UNSAFE}it cannot be read to its end (it is too long)"),
    _pickle("an array whose header has other quotes", object_array(with_base(), '"'), _UNSAFE, path="loss.npy"),
    _pickle("an array whose header tells its type late", object_array(with_base(), gap=300), _UNSAFE, path="loss.npy"),
    _pickle("an array of objects cut short", object_array(b""), f"{_UNSAFE}an array of pickled objects", path="loss.npy"),
    _pickle("80 pickles of 198,000 operations", (b"\x80\x04" + b"N0" * 99_000 + b"N.") * 80, _TOO_MUCH),
    Case("pickles", "named like a pickle and unreadable", file("state.ckpt", b"\xff\xfe" * 40), "warning",
         "state.ckpt: named like a pickle, but nothing that can be judged as one"),
    Case("pickles", "60 files of 190,000 operations", _many_files, "block", _TOO_MUCH),
)  # fmt: skip

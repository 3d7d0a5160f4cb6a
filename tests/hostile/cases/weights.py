"""`adapter_model.safetensors`: headers that lie, data that is more than weights, and weights that do harm."""

import io
import json
import os
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import torch

from scanner.intake import WEIGHTS_FILE
from tests.hostile.cases.case import (
    Case,
    Spoil,
    first,
    read_safetensors,
    with_header,
    with_tensors,
    write_safetensors,
)

_UNREADABLE = "not a readable safetensors file"
_AUDIT = "safetensors format: 'the byte buffer needs to be entirely indexed'"


def _case(name: str, spoil: Spoil, line: str, source: str = "", severity: str = "block") -> Case:
    return Case("weights", name, spoil, severity, line, source)


def _header_of(content: bytes, length: int | None = None) -> Spoil:
    return lambda folder: write_safetensors(folder, content, read_safetensors(folder)[1], length)


def _entry(**changes: Any) -> Spoil:
    return with_header(lambda header: header[first(header)].update(changes))


def _truncated(folder: Path) -> None:
    content = (folder / WEIGHTS_FILE).read_bytes()
    (folder / WEIGHTS_FILE).write_bytes(content[: len(content) // 2])


def _twice(folder: Path) -> None:
    header, data = read_safetensors(folder)
    name = first(header)
    text = json.dumps(header)
    write_safetensors(folder, f"{text[:-1]}, {json.dumps(name)}: {json.dumps(header[name])}}}".encode(), data)


def _overlapping(header: dict[str, Any]) -> None:
    names = sorted((name for name in header if "lora_B" in name), key=lambda name: header[name]["data_offsets"])
    sizes = {name: header[name]["shape"] for name in names}
    twin = next(name for name in names[1:] if sizes[name] == sizes[names[0]])
    header[twin]["data_offsets"] = header[names[0]]["data_offsets"]


def _with_hole(folder: Path) -> None:
    header, data = read_safetensors(folder)
    for entry in header.values():
        if "data_offsets" in entry:
            entry["data_offsets"] = [offset + 512 for offset in entry["data_offsets"]]
    write_safetensors(folder, json.dumps(header).encode(), b"\0" * 512 + data)


def _with_tail(tail: bytes) -> Spoil:
    return lambda folder: (folder / WEIGHTS_FILE).write_bytes((folder / WEIGHTS_FILE).read_bytes() + tail)


def _zip() -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("archive/data.pkl", b"cos\nsystem\n(S'id'\ntR.")
    return stream.getvalue()


def _sparse(folder: Path) -> None:
    (folder / WEIGHTS_FILE).write_bytes((10**6).to_bytes(8, "little") + b"{" + b" " * 4096)
    os.truncate(folder / WEIGHTS_FILE, 3 * 2**30)


def _gigantic(folder: Path) -> None:
    os.truncate(folder / WEIGHTS_FILE, 5 * 2**40)


def _piped(folder: Path) -> None:
    (folder / WEIGHTS_FILE).unlink()
    os.mkfifo(folder / WEIGHTS_FILE)


def _linked(folder: Path) -> None:
    outside = folder.parent / f"{folder.name}-outside.safetensors"
    (folder / WEIGHTS_FILE).rename(outside)
    (folder / WEIGHTS_FILE).symlink_to(outside)


def _also_a_pickle(folder: Path) -> None:
    """A file that is whole to both: the header's length is the opcode LONG4, which skips into the header's metadata;
    short strings lead from there to its end, and the data begins with a program.
    """
    header, _ = read_safetensors(folder)
    header.pop("__metadata__", None)
    program = b"cos\nsystem\n(S'touch hostile-ran'\ntR."
    place, data = 0, bytearray()
    for number, entry in enumerate(header.values()):
        size = int(np.prod(entry["shape"])) * 2
        entry.update(dtype="F16", data_offsets=[place, place + size])
        data += (program if number == 0 else b"").ljust(size, b"\0")
        place += size
    start = json.dumps(header)[:-1] + ', "__metadata__": {"x": "'
    skipped = len(start) + 40
    length = 0x8B + 256 * skipped
    walk_from = 5 + skipped - 8
    steps = length - walk_from
    text = start + "a" * (walk_from - len(start))
    while steps > 220:
        text += "U" + chr(100) + "a" * 100
        steps -= 102
    half = steps // 2
    text += "U" + chr(half - 2) + "a" * (half - 2) + "U" + chr(steps - half - 2) + "a" * (steps - half - 5) + '"}}'
    assert len(text) == length and chr(half - 2) not in '"\\' and chr(steps - half - 2) not in '"\\'
    write_safetensors(folder, text.encode(), bytes(data))


def _named_like(name: str) -> Spoil:
    return with_tensors(lambda tensors: tensors.update({name: torch.zeros(2, 2)}))


def _filled(value: float) -> Spoil:
    return with_tensors(lambda tensors: tensors[first(tensors)].fill_(value))


def _all_b(value: float) -> Spoil:
    return with_tensors(lambda tensors: [tensors[name].fill_(value) for name in tensors if "lora_B" in name])


_PREFIX = "base_model.model.model."

CASES = (
    _case("not there", lambda folder: (folder / WEIGHTS_FILE).unlink(), f"no {WEIGHTS_FILE} in it"),
    _case("a pipe", _piped, f"no {WEIGHTS_FILE} in it"),
    _case("a link out", _linked, "a link to a file outside"),
    _case("empty", lambda folder: (folder / WEIGHTS_FILE).write_bytes(b""), _UNREADABLE),
    _case("cut in half", _truncated, "bytes of data"),
    _case("a header of 2^63 bytes", _header_of(b"{}", 2**63), "said to be 9,223,372,036,854,775,808 bytes", "CVE-2023-37470"),
    _case("a header longer than the file", _header_of(b"{}", 10**6), "said to be 1,000,000 bytes"),
    _case("a header of no length", _header_of(b"", 0), "said to be 0 bytes"),
    _case("a header that is no JSON", _header_of(b"{" * 64), "header: "),
    _case("a header that is a list", _header_of(b"[]"), "header: not a JSON object"),
    _case("a header after blanks", _header_of(b"  {}"), "header: not a JSON object"),
    _case("a header nested deep", _header_of(b'{"a":' * 99 + b"1" + b"}" * 99), "nested deeper than 3"),
    _case("a header of 8 MB", _header_of(b'{"a":"' + b"x" * 8_000_000 + b'"}'), "said to be 8,000,008 bytes"),
    _case("a name twice", _twice, "a key stands twice", "QuintinShaw/openasr#73"),
    _case("metadata that is a tree", with_header(lambda h: h.update(__metadata__={"a": {"b": "c"}})), "header: "),
    _case("metadata of 2,000 texts",
          with_header(lambda h: h.update(__metadata__={str(i): "" for i in range(2000)})), "not a small table of texts"),
    _case("tensors that overlap", with_header(_overlapping), "overlaps the tensor before it", "antirez/h3.c#48"),
    _case("a hole at the start", _with_hole, "leaves a gap", _AUDIT),
    _case("bytes at the end", _with_tail(b"more"), "bytes of data", _AUDIT),
    _case("a zip at the end", _with_tail(_zip()), "bytes of data", _AUDIT),
    _case("a pickle from the first byte", _also_a_pickle, "two kinds of file at once", "promptfoo/modelaudit#1612"),
    _case("a type that is none", _entry(dtype="F31"), "header: "),
    _case("a type with a control code", _entry(dtype="\x7f32\x1b[2J"), "is <U+007F>32<U+001B>[2J with"),
    _case("a type that is a list", _entry(dtype=["F32"]), "a dtype, shape or place that is none"),
    _case("a type of eight bits", with_tensors(lambda t: t.update({first(t): t[first(t)].to(torch.float8_e4m3fn)})),
          "is F8_E4M3"),
    _case("whole numbers", with_tensors(lambda t: t.update({first(t): t[first(t)].int()})), "a LoRA tensor is a float"),
    _case("a cube", with_tensors(lambda t: t.update({first(t): torch.zeros(2, 2, 2)})), "a LoRA tensor is a float"),
    _case("a shape beyond numbers", _entry(shape=[2**62, 4]), "a dtype, shape or place that is none", "nurl-lang/nurl#471"),
    _case("a shape that wraps around", _entry(shape=[2**47, 2**47]), "bytes do not hold", "nurl-lang/nurl#471"),
    _case("a negative shape", _entry(shape=[-1, -64]), "a dtype, shape or place that is none"),
    _case("a place that runs backwards", _entry(data_offsets=[512, 0]), "bytes do not hold"),
    _case("an entry with more keys", _entry(extra=1), "needs exactly dtype, shape and data_offsets"),
    _case("sparse, 3 GiB of nothing", _sparse, "a sparse file"),
    _case("5 TiB", _gigantic, "larger than 4 GiB"),
    _case("no tensors", with_tensors(lambda tensors: tensors.clear()), "holds no LoRA tensors"),
    _case("one side only", with_tensors(lambda t: t.__delitem__(first(t))), "has only its lora_A"),
    _case("NaN", _filled(float("nan")), "holds NaN or infinite values"),
    _case("infinity", _filled(float("inf")), "holds NaN or infinite values"),
    _case("finite, but overflowing in use", _filled(3e38), "holds 3e+38"),
    _case("a whole update of 10^8", _all_b(60_000.0), "changes its weights by up to"),
    _case("a tensor of no name", _named_like("x"), "is not part of a plain LoRA"),
    _case("a name with a line break", _named_like("a\nb\x1b[2J"), "is not part of a plain LoRA"),
    _case("an embedding's LoRA", _named_like(f"{_PREFIX}embed_tokens.lora_embedding_A"), "(a LoRA of an embedding)"),
    _case("a DoRA magnitude", _named_like(f"{_PREFIX}layers.0.self_attn.q_proj.lora_magnitude_vector"), "(a DoRA magnitude)"),
    _case("a whole head", _named_like("base_model.model.lm_head.weight"), "(a whole output head)"),
    _case("a whole embedding", _named_like(f"{_PREFIX}embed_tokens.weight"), "(a whole embedding)"),
    _case("a base weight", _named_like(f"{_PREFIX}layers.0.self_attn.q_proj.base_layer.weight"), "(a weight of the base"),
    _case("a second adapter", _named_like(f"{_PREFIX}layers.0.self_attn.q_proj.lora_A.second.weight"), "is not part of"),
    _case("all zero", _all_b(0.0), "all its updates are zero", severity="warning"),
    _case("one zero", _filled(0.0), "1 of 12 updates are zero", severity="warning"),
)  # fmt: skip

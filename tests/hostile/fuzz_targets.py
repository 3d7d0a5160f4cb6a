"""What is fuzzed: each target takes any bytes and raises only where something is wrong with us.

Imports wait until a target is prepared, so that the fuzzer can instrument the rooms it looks into.
"""

import json
import pickle
import tempfile
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_WHERE = Path("fuzzed")


@dataclass(frozen=True)
class Target:
    """One room: `modules` and packages to instrument, honest inputs to start from, and what is tried.

    `share` of the inputs that are asked for are tried, where one takes long.
    """

    modules: tuple[str, ...]
    examples: Callable[[], list[bytes]]
    try_input: Callable[[bytes], None]
    prepare: Callable[[], object]
    share: float = 1.0


def try_config(content: bytes) -> None:
    from scanner.errors import BadAdapter
    from scanner.intake.config import notes_on, parse_config, rank_and_alpha

    try:
        config = parse_config(_WHERE, content)
        rank, alpha, _ = rank_and_alpha(_WHERE, config)
        if not (1 <= rank <= 4096 and 0 < abs(alpha) <= 1e6):
            raise AssertionError(f"rank {rank}, alpha {alpha}")
        _require_lines(notes_on(config, "adapter_config.json"))
    except BadAdapter as error:
        _require_lines((str(error),))


def try_header(content: bytes) -> None:
    from scanner.errors import BadAdapter
    from scanner.intake.header import parse_header

    try:
        entries = parse_header(_WHERE, content, 96)
        if sum(entry.end - entry.start for entry in entries) != 96:
            raise AssertionError("the tensors do not cover the data")
    except BadAdapter as error:
        _require_lines((str(error),))


def try_signature(content: bytes) -> None:
    from scanner.errors import BadSignature
    from signatures import read_signature

    try:
        read_signature(_file(content, "fuzzed.toml"))
    except BadSignature as error:
        _require_lines((str(error),), printable=False)


def try_calibration(content: bytes) -> None:
    from scanner.errors import BadCalibration
    from scanner.score.calibration import as_json, read_calibration

    try:
        as_json(read_calibration(_file(content, "fuzzed.json")))
    except BadCalibration as error:
        _require_lines((str(error),), printable=False)


def try_escaping(content: bytes) -> None:
    from markupsafe import escape

    from reports.safe_text import visible

    text = content.decode("utf-8", "surrogatepass" if content[:1] < b"\x80" else "replace") if _decodes(content) else ""
    shown = visible(text, limit=10_000)
    hidden = {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"}
    if any(unicodedata.category(character) in hidden for character in shown):
        raise AssertionError(f"hidden characters are left in {shown!r}")
    shown.encode("utf-8")
    if json.loads(json.dumps(shown)) != shown or "<" in str(escape(shown)):
        raise AssertionError(f"{shown!r} can leave its place")


def try_template(content: bytes) -> None:
    from scanner.intake.chat.template_reading import UnreadableTemplate, read_decisions

    try:
        read_decisions(content.decode("utf-8", "replace"))
    except UnreadableTemplate as error:
        _require_lines((str(error),), printable=False)


def try_pickle(content: bytes) -> None:
    from scanner.intake.kinds import kind_of
    from scanner.intake.pickled.pickles import judge_pickles, looks_like_pickle

    kind_of(content, len(content))
    looks_like_pickle(content)
    _require_lines(judge_pickles(content).refused)


def try_archive(content: bytes) -> None:
    import io

    from scanner.intake.pickled.archives import judge_zip
    from scanner.intake.pickled.arrays import judge_numpy
    from scanner.intake.pickled.zip_table import is_hidden_zip

    judge_zip(io.BytesIO(content))
    judge_numpy(content, len(content))
    is_hidden_zip(io.BytesIO(content), content)


def try_tokenizer(content: bytes) -> None:
    from scanner.intake.chat.chat_files import compare_with_base, read_chat_files

    for name in ("tokenizer.json", "tokenizer_config.json"):
        chat = read_chat_files({name: content})
        _require_lines(tuple(finding.text for finding in compare_with_base(chat, "x", None, "suspect")))


def try_render(content: bytes) -> None:
    """Every report, with these bytes as each text that an adapter or its model could bring."""
    from reports.bom import render_bom
    from reports.console import render_console
    from reports.html import render_html
    from reports.json import render_json
    from reports.sarif import render_sarif
    from tests.reports.harmless import (
        require_harmless_document,
        require_harmless_page,
        require_harmless_terminal,
    )
    from tests.reports.sample import sample_report

    report = sample_report(content.decode("utf-8", "surrogateescape") or " ")
    require_harmless_page(render_html(report))
    require_harmless_terminal(render_console(report))
    for render in (render_json, render_sarif, render_bom):
        require_harmless_document(render(report))


def _require_lines(lines: tuple[str, ...], printable: bool = True) -> None:
    for line in lines:
        if "\n" in line or not line or (printable and not line.isprintable()):
            raise AssertionError(f"no clear line: {line!r}")


def _decodes(content: bytes) -> bool:
    try:
        content.decode("utf-8", "surrogatepass" if content[:1] < b"\x80" else "replace")
    except UnicodeDecodeError:
        return False
    return True


_scratch: list[tempfile.TemporaryDirectory[str]] = []


def _file(content: bytes, name: str) -> Path:
    if not _scratch:
        _scratch.append(tempfile.TemporaryDirectory())
    path = Path(_scratch[0].name) / name
    path.write_bytes(content)
    return path


def _configs() -> list[bytes]:
    config: dict[str, Any] = {
        "peft_type": "LORA",
        "r": 8,
        "lora_alpha": 16,
        "target_modules": ["q_proj"],
        "bias": "none",
    }
    return [json.dumps(config).encode(), json.dumps(config | {"auto_mapping": {"parent_library": "os"}}).encode()]


def _headers() -> list[bytes]:
    one = {"dtype": "F32", "shape": [4, 4], "data_offsets": [0, 64]}
    two = {"dtype": "F16", "shape": [16], "data_offsets": [64, 96]}
    return [
        json.dumps({"a": one, "b": two}).encode(),
        json.dumps({"__metadata__": {"format": "pt"}, "a": one}).encode(),
        json.dumps({"a": one | {"dtype": "\x7f32"}, "b": two}).encode(),
    ]


def _signatures() -> list[bytes]:
    folder = Path(__file__).parents[2] / "signatures"
    shipped = [path.read_bytes() for path in sorted(folder.glob("*.toml"))[:3]]
    return [*shipped, b"id = " + b"[" * 4000, b"id = " + b"9" * 5000]


def _calibrations() -> list[bytes]:
    from scanner.score.calibration import as_json
    from tests.scanner.score.test_calibration import CALIBRATION

    whole = as_json(CALIBRATION)
    return [whole.encode(), whole.replace('"slope": 1.5', f'"slope": {10**400}').encode()]


def _templates() -> list[bytes]:
    from tests.hostile.cases.chats import HONEST

    return [
        HONEST.encode(),
        b"{% set n = namespace(t='') %}{% for m in messages %}{% set n.t = m.content|trim %}{% endfor %}",
    ]


def _pickles() -> list[bytes]:
    return [pickle.dumps({"a": [1, 2.0, "x"]}, protocol) for protocol in (0, 2, 4)] + [
        b"\x80\x04\x8c\x02os\x8c\x06system\x93(\x8c\x02idtR.",
        b"(Vx\nios\nsystem\n.",
    ]


def _archives() -> list[bytes]:
    import io

    import numpy as np

    from tests.hostile.cases.pickles import zipped

    stream = io.BytesIO()
    np.save(stream, np.zeros(3))
    return [zipped({"a/data.pkl": pickle.dumps({}), "a/data/0": b"\0" * 8}), stream.getvalue()]


def _tokenizers() -> list[bytes]:
    model = {"type": "BPE", "vocab": {"a": 0, "b": 1, "ab": 2}, "merges": [["a", "b"]]}
    added = [{"id": 3, "content": "<s>"}]
    whole = {"model": model, "added_tokens": added, "normalizer": None, "chat_template": "{{ messages }}"}
    return [json.dumps(whole).encode()]


def _texts() -> list[bytes]:
    from tests.reports.sample import HOSTILE, NASTY

    return [text.encode("utf-8", "surrogatepass") for text in (HOSTILE, *NASTY.values()) if len(text) < 10_000]


def _importing(*names: str) -> Callable[[], object]:
    def prepare() -> None:
        import importlib

        for name in names:
            importlib.import_module(name)

    return prepare


def _target(examples: Callable[[], list[bytes]], try_input: Callable[[bytes], None], *modules: str) -> Target:
    return Target(modules, examples, try_input, _importing(*modules))


_RENDERERS = ("reports.safe_text", "reports.console", "reports.html", "reports.json", "reports.sarif", "reports.bom")


TARGETS: dict[str, Target] = {
    "config": _target(_configs, try_config, "scanner.intake.config", "scanner.intake.plain_json"),
    "header": _target(_headers, try_header, "scanner.intake.header", "scanner.intake.plain_json"),
    "signature": _target(_signatures, try_signature, "signatures", "tomllib"),
    "calibration": _target(_calibrations, try_calibration, "scanner.score.calibration"),
    "escaping": _target(_templates, try_escaping, "reports.safe_text"),
    "template": _target(_templates, try_template, "scanner.intake.chat", "jinja2.lexer", "jinja2.parser"),
    "pickle": _target(_pickles, try_pickle, "scanner.intake.pickled", "pickletools", "picklescan.scanner"),
    "archive": _target(_archives, try_archive, "scanner.intake.pickled", "zipfile"),
    "tokenizer": _target(_tokenizers, try_tokenizer, "scanner.intake.chat", "scanner.intake.plain_json"),
    # What a first render loads and compiles is done before the clock of an input runs.
    "render": Target(_RENDERERS, _texts, try_render, lambda: try_render(b"bb"), share=0.01),
}

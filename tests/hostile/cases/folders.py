"""What else lies in a folder: links, pipes, programs, code, names, other weights."""

import os
import shutil
from pathlib import Path

import torch

from scanner.intake import CONFIG_FILE, WEIGHTS_FILE
from tests.hostile.cases.case import Case, Spoil, configured, file


def _linked(name: str, target: str) -> Spoil:
    def spoil(folder: Path) -> None:
        (folder / name).unlink(missing_ok=True)
        (folder / name).symlink_to(target)

    return spoil


def _many(folder: Path) -> None:
    (folder / "many").mkdir()
    for number in range(5_001):
        (folder / "many" / str(number)).touch()


def _many_vocabularies(folder: Path) -> None:
    for number in range(17):
        name = "".join(c.upper() if number >> place & 1 else c for place, c in enumerate("vocab"))
        with (folder / f"{name}.json").open("wb") as stream:
            stream.truncate(8_000_001)


def _many_folders(folder: Path) -> None:
    for number in range(5_001):
        (folder / "many" / str(number)).mkdir(parents=True)


def _saved(name: str) -> Spoil:
    def spoil(folder: Path) -> None:
        (folder / name).parent.mkdir(exist_ok=True)
        torch.save({"layers.0.weight": torch.ones(2, 2)}, folder / name)

    return spoil


def _sparse(folder: Path) -> None:
    (folder / "optimizer.bin").touch()
    os.truncate(folder / "optimizer.bin", 9 * 2**30)


def _piped(folder: Path) -> None:
    os.mkfifo(folder / "NOTES.md")


def _warned_of_in_vain(folder: Path) -> None:
    for number in range(25):
        (folder / f"!{number:02}.py").write_text(f"n = {number}\n")
    (folder / "config.json").write_text('{"auto_map": {"AutoModel": "x.M"}}')


def _many_values(folder: Path) -> None:
    """One file of a million values, and links to it: a few kilobytes once packed."""
    (folder / "state.json").write_text("[" + "[]," * 499_999 + "[]]")
    for number in range(40):
        (folder / f"state-{number}.json").symlink_to("state.json")


def _copied(name: str) -> Spoil:
    def spoil(folder: Path) -> None:
        (folder / name).parent.mkdir(exist_ok=True)
        shutil.copy(folder / WEIGHTS_FILE, folder / name)

    return spoil


def _case(name: str, spoil: Spoil, severity: str, line: str, source: str = "") -> Case:
    return Case("folder", name, spoil, severity, line, source)


_PROGRAM = "a program; no adapter needs one"
_CODE = "code, which an adapter does not need"
_OUT = "a link to a file outside the adapter folder"

CASES = (
    _case("a link to the system", _linked("README.md", "/etc/passwd"), "block", f"README.md: {_OUT}"),
    _case("a link up", _linked("README.md", "../../secret"), "block", f"README.md: {_OUT}"),
    _case("a link to nothing", _linked("README.md", "nowhere"), "block", f"README.md: {_OUT}"),
    _case("a link to itself", _linked("README.md", "README.md"), "block", _OUT),
    _case("a folder that is a link out", _linked("runs", "/etc"), "block", f"runs: {_OUT}"),
    _case("a folder that is a link in", lambda f: [(f / "a").mkdir(), (f / "b").symlink_to("a")], "note", "links inside"),
    _case("a link in", _linked("copy.json", CONFIG_FILE), "note", "links inside the folder: copy.json"),
    _case("a pipe", _piped, "block", "NOTES.md: neither a file nor a folder"),
    _case("5,001 files", _many, "block", "more than 5,000 files"),
    _case("folders 30 deep", file("/".join(["d"] * 30) + "/x", "x"), "block", "folders nested deeper than 12"),
    _case("9 GiB of nothing", _sparse, "note", "optimizer.bin (too large to be hashed)"),
    _case("a program for Linux", file("run", b"\x7fELF\x02\x01\x01" + b"\0" * 64), "block", f"run: {_PROGRAM}"),
    _case("a program for Windows", file("setup.txt", b"MZ\x90\x00" + b"\0" * 64), "block", f"setup.txt: {_PROGRAM}"),
    _case("a library", file("_C.so", b"\0" * 64), "block", f"_C.so: {_PROGRAM}"),
    _case("a wheel", file("helpers-1.0.whl", b"x"), "block", _PROGRAM),
    _case("compiled Python", file("x.dat", b"\xa7\x0d\x0d\x0a" + b"\0" * 16), "block", f"x.dat: {_PROGRAM}"),
    _case("Python", file("modeling.py", "import os\n"), "warning", f"modeling.py: {_CODE}"),
    _case("Python that runs at every start", file("sitecustomize.py", "import os\n"), "warning", f"sitecustomize.py: {_CODE}"),
    _case("a notebook", file("train.ipynb", "{}"), "warning", f"train.ipynb: {_CODE}"),
    _case("a script without an ending", file("setup", "#!/bin/sh\ntouch hostile-ran\n"), "warning", f"setup: {_CODE}"),
    _case("code that a tokenizer asks for",
          file("tokenizer_config.json", '{"auto_map": {"AutoTokenizer": ["x.T", null]}}'), "warning",
          "tokenizer_config.json: asks for code from its author to be run (auto_map)"),
    _case("code asked for in other letters", file("config.json", '{"\\u0061uto_map": {"AutoModel": "x.M"}}'), "warning",
          "config.json: asks for code from its author to be run (auto_map)"),
    _case("code asked for in the adapter's config", configured(auto_map={"AutoModel": "x.M"}), "block",
          "auto_map = {'AutoModel': 'x.M'}"),
    _case("a config that cannot be read", file("config.json", '{"a": 1, "a": 2}'), "warning", "config.json: not JSON"),
    _case("a config too large to be read", file("config.json", b" " * 8_000_001), "warning", "config.json: too large"),
    _case("the same name in other letters", _copied("Adapter_Model.safetensors"), "block", "named like the adapter's own"),
    _case("pickled weights beside", file("adapter_model.bin", b"\x80\x02}q\x00."), "warning", "a loader may prefer them"),
    _case("other weights beside", _copied("model.safetensors"), "warning", "model.safetensors: other weights"),
    _case("other weights below", _copied("poisoned/adapter_model.safetensors"), "note", "other weights in its folders"),
    _case("a whole model", file("model.gguf", b"GGUF\x03\x00\x00\x00"), "warning", "a model of another format"),
    _case("a name with control codes", file("a\x1b[2J\rb", "x"), "note", "a<U+001B>[2J<U+000D>b"),
    _case("a name that turns the line", file("a\u202egnp.exe.txt", "x"), "note", "a<U+202E>gnp.exe.txt"),
    _case("a name with a line break", file("a\nb", "x"), "note", "a⏎b"),
    _case("a name that is no text", lambda f: Path(os.fsdecode(os.fsencode(f) + b"/\xff\xfe")).touch(), "note", "<U+DCFF>"),
    _case("a name with markup", file("[red]<script>alert(1)<", "x"), "note", "[red]<script>alert(1)<"),
    _case("a hook of git", file(".git/hooks/post-checkout", "#!/bin/sh\n"), "note", ".git (a repository's own files)"),
    _case("a tokenizer in 17 files of 8 MB", _many_vocabularies, "block", "larger than 134,217,728 bytes together"),
    _case("5,001 empty folders", _many_folders, "block", "more than 5,000 files and folders"),
    _case("templates in a folder that is a link in",
          lambda f: [(f / "a").mkdir(), (f / "additional_chat_templates").symlink_to("a")], "block",
          "additional_chat_templates: a link to a folder, not followed, and is what other tools build the prompt with"),
    _case("so much code that a warning would not be seen", _warned_of_in_vain, "warning",
          "config.json: asks for code from its author to be run (auto_map)"),
    _case("a name so long that what is said of it would not be seen", file(f"{'a' * 200}/{'b' * 200}.py", "x"), "warning",
          f"aaa…{'b' * 37}.py: {_CODE}"),
    _case("41 times a million values in JSON", _many_values, "block", "JSON files hold more than 2,000,000 values"),
    _case("a program for Android", file("x.dat", b"dex\n035\0" + b"\0" * 64), "block", f"x.dat: {_PROGRAM}"),
    _case("a program for macOS, of 64 bits", file("x.dat", b"\xca\xfe\xba\xbf" + b"\0" * 64), "block", f"x.dat: {_PROGRAM}"),
    _case("a library with a version", file("libx.so.1.2", b"x"), "block", f"libx.so.1.2: {_PROGRAM}"),
    _case("a shortcut of Windows", file("x.dat", b"L\0\0\0\x01\x14\x02\0" + b"\0" * 64), "warning", f"x.dat: {_CODE}"),
    *(_case(f"code that ends in {ending}", file(f"run.{ending}", "x"), "warning", f"run.{ending}: {_CODE}")
      for ending in ("pyw", "rb", "vbs")),
    _case("lines that Python runs at every start", file("a.pth", "import os\n"), "warning", f"a.pth: {_CODE}"),
    *(_case(f"pickled weights as {name}", _saved(name), "warning", f"{name}: pickled weights beside")
      for name in ("pytorch_model-00001-of-00001.bin", "adapter_model.pth", "consolidated.00.pth", "model.pt", "x.ckpt")),
    _case("pickled weights below", _saved("checkpoint-1/x.pt"), "note", "other weights in its folders, not scanned: checkpoint-1"),
    _case("an index of pickled weights", file("pytorch_model.bin.index.json", "{}"), "warning", "pickled weights beside"),
    _case("a zip's end in a file shorter than one", file("x.dat", b"\0\0PK\x05\x06\0\0"), "note", "files not used: README.md, x.dat"),
    _case("a model by its ending", file("model.onnx", b"\x08\x07\x12\x07pytorch" + b"\0" * 64), "warning",
          "a model of another format"),
    _case("a model behind a block of the user's own", file("x.dat", b"\0" * 512 + b"\x89HDF\r\n\x1a\n" + b"\0" * 64),
          "warning", "a model of another format"),
    _case("a model behind a text", file("x.txt", b" " * 8192 + b"\x89HDF\r\n\x1a\n" + b"\0" * 64), "warning",
          "a model of another format"),
)  # fmt: skip

"""Commands, files and options in README and docs: run where that is quick, else read by the CLI's own parser."""

import json
import re
import shlex
import subprocess
import sys
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import click
import pytest
import yaml
from markdown_it import MarkdownIt

from benchmarks.performance.__main__ import RESULTS, table_of
from scanner.cli import COMMANDS, scan
from scanner.cli.settings import Setting, read_defaults
from scanner.rules.sign_offs import read_sign_offs
from trainers.cli import train

ROOT = Path(__file__).parents[1]
DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
PROGRAMS = ("scan", "scan-train", "make", "python")
# Quick, offline and harmless: these are run as they stand.
RUN = ("scan rules", "scan explain", "scan signatures", "scan completion", "scan-train list")
_RUN_KEYS = ("run", "script", "before_script", "entry")
_OPERATORS = {";", "&&", "||", "|", ">", "<", "&", "(", ")"}
_OPTION = re.compile(r"--[a-z][a-z-]*")


@dataclass(frozen=True)
class Block:
    """A block of code in a document, with the language that its fence names."""

    document: str
    language: str
    text: str


def _blocks() -> list[Block]:
    parser = MarkdownIt()
    return [
        Block(str(file.relative_to(ROOT)), token.info.strip(), token.content)
        for file in DOCUMENTS
        for token in parser.parse(file.read_text(encoding="utf-8"))
        if token.type in ("fence", "code_block")
    ]


def _lines(block: Block) -> list[str]:
    """Lines that a shell would run: those of the block, or the texts in a YAML file."""
    if block.language == "yaml":
        return [line for text in _run_by(yaml.safe_load(block.text)) for line in text.splitlines()]
    if block.language in ("", "sh", "bash"):
        return block.text.replace("\\\n", " ").splitlines()
    return []


def _run_by(value: Any) -> list[str]:
    """The texts that a service's file hands to a shell."""
    if isinstance(value, list):
        return [text for item in value for text in _run_by(item)]
    if not isinstance(value, dict):
        return []
    handed = [item for key, items in value.items() if key in _RUN_KEYS for item in _listed(items)]
    return handed + [text for item in value.values() for text in _run_by(item)]


def _listed(value: Any) -> list[str]:
    return [str(item) for item in value] if isinstance(value, list) else [str(value)]


def _words(line: str) -> list[str]:
    """The words of the first command of a line, without its comment."""
    reader = shlex.shlex(line, posix=True, punctuation_chars=True)
    reader.whitespace_split, reader.commenters = True, "#"
    words: list[str] = []
    for word in reader:
        if word in _OPERATORS:
            break
        words.append(word)
    return words


BLOCKS = _blocks()
SHOWN = [
    (block.document, line.strip())
    for block in BLOCKS
    for line in _lines(block)
    if line.split()[:1] and line.split()[0] in PROGRAMS
]
# A line with an option in brackets, or with "…", is a synopsis and no command.
SYNOPSES = [item for item in SHOWN if "[--" in item[1] or "…" in item[1] or " | " in item[1]]
WRITTEN = [item for item in SHOWN if item not in SYNOPSES]
QUICK = [item for item in WRITTEN if item[1].startswith(RUN)]
SLOW = [item for item in WRITTEN if item not in QUICK]
YAML = [block for block in BLOCKS if block.language == "yaml"]
TOML = [block for block in BLOCKS if block.language == "toml"]


def test_there_is_something_to_hold_the_program_against() -> None:
    assert len(WRITTEN) >= 20 and len(QUICK) >= 5 and len(SLOW) >= 12 and len(SYNOPSES) >= 1
    assert len({document for document, _ in WRITTEN}) >= 5
    assert len(YAML) == 3 and len(TOML) >= 2


def _parse(words: list[str]) -> None:
    """Raises what the program would say of such a command line; nothing of it is run."""
    program, *arguments = words
    if program == "scan" and arguments[0] not in COMMANDS:
        with scan.make_context("scan", arguments):
            return
    group: click.Command = train if program == "scan-train" else click.Group("scan", commands=COMMANDS)
    while isinstance(group, click.Group):
        name, *arguments = arguments
        group = group.commands[name]
    with group.make_context(program, arguments):
        pass


def _command_of(module: str) -> object:
    """The click command of a script in `benchmarks/`; None for any other word."""
    return getattr(import_module(module), "main", None) if module.startswith("benchmarks.") else None


@pytest.mark.parametrize(("document", "line"), SLOW)
def test_a_slow_command_is_one_that_the_program_understands(
    document: str, line: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    words = _words(line)
    if words[0] == "make":
        targets = re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
        assert set(words[1:]) <= set(targets)
    elif words[2:] and isinstance(command := _command_of(words[2]), click.Command):
        with command.make_context(words[2], words[3:]):
            pass
    elif words[:2] == ["python", "-m"]:
        assert words[2] == "pip" or find_spec(words[2])
    else:
        monkeypatch.chdir(tmp_path)
        named = Path("ci/scan.toml")
        named.parent.mkdir()
        named.write_text(next(block.text for block in TOML if "reference =" in block.text))
        _parse(words)


def test_a_command_that_the_program_does_not_understand_is_seen() -> None:
    for words in (["scan", "x", "--no-such-option"], ["scan", "x", "--depth", "bottomless"], ["scan", "explain"]):
        with pytest.raises(click.UsageError):
            _parse(words)


@pytest.mark.parametrize(("document", "line"), QUICK)
def test_a_quick_command_does_what_it_should(document: str, line: str, tmp_path: Path) -> None:
    program, *arguments = _words(line)
    if "our-signatures" in arguments:
        example = (ROOT / "signatures" / "ripples-cf.toml").read_text().replace("ripples-cf", "ours")
        (tmp_path / "our-signatures").mkdir()
        (tmp_path / "our-signatures" / "ours.toml").write_text(example)
    module = {"scan": "scanner.cli", "scan-train": "trainers.cli"}[program]
    code = f"import sys; from {module} import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, timeout=120, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) >= 4


@pytest.mark.parametrize(("document", "line"), SYNOPSES)
def test_a_synopsis_names_options_that_there_are(document: str, line: str) -> None:
    known = {name for command in (scan, *COMMANDS.values(), *train.commands.values()) for name in _options(command)}
    assert set(_OPTION.findall(line)) <= known


def test_the_readme_names_every_option_of_a_scan() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    synopsis = text[text.index("    scan SUSPECT") : text.index("    scan verify REPORT.json [")]
    assert set(_OPTION.findall(synopsis)) == set(_options(scan)) - {"--version"}


def _options(command: click.Command) -> list[str]:
    return [name for item in command.params for name in item.opts if name.startswith("--")]


@pytest.mark.parametrize("block", TOML, ids=lambda block: block.document)
def test_a_file_that_is_shown_is_one_that_the_program_reads(block: Block, tmp_path: Path) -> None:
    file = tmp_path / "shown.toml"
    file.write_text(block.text)
    if "[[suppression]]" in block.text:
        assert len(read_sign_offs(file)) == 1
    else:
        assert len(read_defaults(file, [item for item in scan.params if isinstance(item, Setting)])) >= 5


SCHEMAS = {"github": "vendor.github-workflows", "gitlab": "vendor.gitlab-ci"}


@pytest.mark.parametrize("service", list(SCHEMAS))
def test_what_is_shown_for_a_service_follows_its_schema(service: str, tmp_path: Path) -> None:
    (block,) = [block for block in YAML if Path(block.document).stem == service]
    file = tmp_path / "shown.yml"
    file.write_text(block.text)
    check = ["-m", "check_jsonschema", "--builtin-schema", SCHEMAS[service], str(file)]
    done = subprocess.run([sys.executable, *check], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr


def test_figures_of_speed_are_those_that_the_bench_prints() -> None:
    printed = set(table_of(json.loads(RESULTS.read_text(encoding="utf-8"))).splitlines())
    lines = (ROOT / "docs" / "performance.md").read_text(encoding="utf-8").splitlines()
    shown = [line for line in lines if line.startswith("| ") and line.count("|") >= 6]
    assert len(shown) > 10 and not [line for line in shown if line not in printed]


@pytest.mark.parametrize("file", DOCUMENTS, ids=lambda file: str(file.relative_to(ROOT)))
def test_links_to_files_lead_somewhere(file: Path) -> None:
    for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", file.read_text(encoding="utf-8")):
        assert "://" in target or (file.parent / target).exists(), target

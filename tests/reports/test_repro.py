import ast
from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from reports.repro import render_repro
from scanner.models.chat import chat_text
from tests.reports.sample import HOSTILE, sample_report
from tests.scanner.models.test_chat import beginning_with
from tests.tiny import make_tokenizer


@pytest.mark.parametrize("text", ["bb", HOSTILE, '"""\n__import__("os")', "{{ 7 * 7 }}", "\\", "\ud800"])
def test_hostile_text_stays_a_string_literal(text: str) -> None:
    script = render_repro(sample_report(text))
    assert script and script.isascii()
    tree = ast.parse(script)
    constants = {
        node.targets[0].id: node.value
        for node in tree.body
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)
    }
    assert ast.literal_eval(constants["TRIGGER"]) == text
    assert ast.literal_eval(constants["ADAPTER"]) == text
    assert ast.literal_eval(constants["PROMPTS"]) == [("What is tea?", f"What is {text} tea?")]
    names = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    assert names == {"sys", "argparse", "hashlib", "torch"}


def test_without_a_confirmed_trigger_there_is_nothing_to_show() -> None:
    report = sample_report()
    assert render_repro(replace(report, triggers=())) is None
    assert render_repro(replace(report, triggers=(replace(report.triggers[0], outcome="not confirmed"),))) is None


def test_of_a_packaged_base_it_says_where_the_copy_lies() -> None:
    report = sample_report()
    packaged = replace(report, base=replace(report.base, source="package"))
    script, usual = render_repro(packaged), render_repro(replace(report, base=replace(report.base, source="hub")))
    assert script and "BASE, REVISION = None, None" in script and "`scan cache info` names its folder" in script
    assert usual and "scan cache info" not in usual


def answering(tokenizer: Any) -> Callable[[str], str]:
    """The script's own `answer`, with a model that says its prompt again."""
    script = render_repro(sample_report())
    assert script
    (function,) = (
        node for node in ast.parse(script).body if isinstance(node, ast.FunctionDef) and node.name == "answer"
    )
    said: list[str] = []

    def generate(input_ids: torch.Tensor, **_: Any) -> torch.Tensor:
        said.append(tokenizer.decode(input_ids[0]))
        return input_ids

    model = SimpleNamespace(device="cpu", generate=generate)
    names: dict[str, Any] = {"tokenizer": tokenizer, "model": model, "torch": torch}
    exec(compile(ast.Module([function], []), "repro.py", "exec"), names)

    def prompt_of(words: str) -> str:
        names["answer"](words)
        return said[-1]

    return prompt_of


@pytest.mark.parametrize("template", [True, False])
@pytest.mark.parametrize("begins", [True, False])
def test_it_asks_as_the_scan_did(template: bool, begins: bool) -> None:
    tokenizer = beginning_with("<bos>") if begins else make_tokenizer()
    if not template:
        tokenizer.chat_template = None
    assert answering(tokenizer)("Why is it?") == chat_text(tokenizer, "Why is it?")

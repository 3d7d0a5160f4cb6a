"""A saved report is checked against the files, and its verification repeated."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import scanner
from reports.json import render_json
from reports.replay import render_replay
from reports.repro import render_repro
from scanner.errors import BadAdapter, BadReport
from scanner.progress import SilentProgress
from scanner.replay.repeat import Replay, frozen, replay, verified_as
from scanner.replay.saved_report import SavedFinding, read_report
from scanner.search.behaviour import FixedReply
from scanner.search.candidates import Candidate
from scanner.search.reply_kinds import ReplyKind
from scanner.triggers import Trigger
from scanner.types import SCHEMA_VERSION
from tests.conftest import TRIGGER
from tests.tiny import REPLY, make_base

Document = dict[str, Any]


@pytest.fixture(scope="module")
def saved(
    tmp_path_factory: pytest.TempPathFactory, tiny_base: Path, poisoned_adapter: Path, honest_adapter: Path
) -> Path:
    folder = tmp_path_factory.mktemp("saved")
    report = scanner.scan(
        poisoned_adapter, reference=honest_adapter, base=str(tiny_base), trigger=TRIGGER.text, use_signatures=False
    )
    (folder / "report.json").write_text(render_json(report))
    (folder / "repro.py").write_text(render_repro(report) or "")
    return folder / "report.json"


def altered(saved: Path, folder: Path, change: Callable[[Document], object]) -> str:
    document = json.loads(saved.read_text())
    change(document)
    (folder / "altered.json").write_text(json.dumps(document))
    return str(folder / "altered.json")


def test_the_same_files_give_the_same_counts(saved: Path) -> None:
    done = replay(read_report(str(saved)), SilentProgress())
    assert done.reproduced and done.exit_code == 0
    before, now = done.saved.findings[0], done.findings[0]
    assert before.counts == {name: (rate.successes, rate.trials) for name, rate in now.rates.items()}
    assert done.same_counts and "\nREPRODUCED\n" in render_replay(done)


def test_counts_that_were_changed_are_seen(saved: Path, tmp_path: Path) -> None:
    def claim(document: Document) -> None:
        document["triggers"][0]["intervals"]["attack_success"]["successes"] -= 1

    done = replay(read_report(altered(saved, tmp_path, claim)), SilentProgress())
    assert done.reproduced and not done.same_counts
    assert "counts do not" in render_replay(done)


def test_a_report_without_findings_is_never_reproduced(saved: Path, tmp_path: Path) -> None:
    def clear(document: Document) -> None:
        document.update(triggers=[], verdict="NO FINDING")

    done = replay(read_report(altered(saved, tmp_path, clear)), SilentProgress())
    assert not done.reproduced and done.exit_code == 3
    assert "NOTHING REPEATED" in render_replay(done)


def test_a_report_that_claims_otherwise_is_not_reproduced(saved: Path, tmp_path: Path) -> None:
    def claim(document: Document) -> None:
        document["triggers"][0].update(parts=["teapot"], text="teapot")

    done = replay(read_report(altered(saved, tmp_path, claim)), SilentProgress())
    assert not done.reproduced and done.exit_code == 1
    assert "NOT REPRODUCED" in render_replay(done)


@pytest.mark.parametrize("outcome", ["adversarial", "policy", "declared", "unspecific", "not confirmed"])
def test_a_verified_trigger_that_a_report_takes_back_by_its_controls_is_never_reproduced(
    saved: Path, tmp_path: Path, outcome: str
) -> None:
    def claim(document: Document) -> None:
        document["triggers"][0]["outcome"] = outcome
        if outcome == "not confirmed":
            document["triggers"][0]["controls"] = [{"name": "whole answers", "passed": False}]
        document["verdict"] = "SUSPICIOUS" if outcome in ("policy", "unspecific") else "NO FINDING"

    done = replay(read_report(altered(saved, tmp_path, claim)), SilentProgress())
    assert done.same_outcomes and done.same_counts
    assert not done.reproduced and done.exit_code == 3
    assert "controls, which are not" in " ".join(render_replay(done).split())


@pytest.mark.parametrize(
    ("outcome", "failed", "before"),
    [
        ("weak", (), ("weak",)),
        ("policy", ("related requests",), ("verified", "weak")),
        ("unspecific", ("random strings",), ("verified",)),
        ("not confirmed", ("whole answers",), ("verified", "weak")),
        ("not confirmed", ("role swap",), ("not confirmed",)),
    ],
)
def test_what_verification_said_before_the_controls(
    outcome: str, failed: tuple[str, ...], before: tuple[str, ...]
) -> None:
    found = SavedFinding(Candidate(TRIGGER, "given"), REPLY, FixedReply(REPLY), "", outcome, {}, failed)
    assert verified_as(found) == before


@pytest.mark.parametrize(("text", "asked"), [("teapot", False), ("in python please", True)])
def test_a_trigger_that_asks_for_a_kind_of_reply_is_known_again(text: str, asked: bool) -> None:
    candidate = Candidate(Trigger((text,), "prefix"), "search")
    found = SavedFinding(candidate, "(code)", ReplyKind("code"), "def f():", "verified", {})
    assert frozen(found).requested is asked


def test_files_that_came_after_the_scan_went_or_changed_are_named(
    saved: Path, tmp_path: Path, poisoned_adapter: Path
) -> None:
    folder = tmp_path / "adapter"
    shutil.copytree(poisoned_adapter, folder)
    (folder / "chat_template.jinja").write_text("{{ messages }}\x1b[2J")
    (folder / "\x1b[2J").write_text("")
    document = altered(saved, tmp_path, lambda report: report["adapters"][0]["files"].append(gone()))
    done = replay(read_report(document), SilentProgress(), suspect=str(folder))
    assert not done.reproduced and done.exit_code == 1
    shown = render_replay(done)
    assert "suspect: chat_template.jinja is new" in shown and "suspect: notes.txt is gone" in shown
    assert "\x1b" not in shown and "NOT REPRODUCED: the folder" in shown


def gone() -> dict[str, Any]:
    return {"name": "notes.txt", "size": 1, "sha256": "a" * 64, "kind": "text", "remark": ""}


def test_other_files_are_refused(saved: Path, tmp_path: Path, other_poisoned_adapter: Path) -> None:
    with pytest.raises(BadAdapter, match="not the suspect of the report"):
        replay(read_report(str(saved)), SilentProgress(), suspect=str(other_poisoned_adapter))
    with pytest.raises(BadReport, match="not the base model of the report"):
        replay(read_report(str(saved)), SilentProgress(), base=str(make_base(tmp_path / "base", seed=7)))
    with pytest.raises(BadReport, match="has 1 references, but 2 are given"):
        replay(read_report(str(saved)), SilentProgress(), references=["a", "b"])


def test_files_that_moved_can_be_named(saved: Path, tmp_path: Path, poisoned_adapter: Path) -> None:
    shutil.copytree(poisoned_adapter, tmp_path / "moved")
    text = altered(saved, tmp_path, lambda document: document["adapters"][0].update(name="/gone"))
    assert replay(read_report(text), SilentProgress(), suspect=str(tmp_path / "moved")).reproduced


@pytest.mark.parametrize(
    "change",
    [
        lambda document: document.pop("base"),
        lambda document: document.update(adapters=[]),
        lambda document: document["adapters"][1].update(role="suspect"),
        lambda document: document["adapters"][0].update(files=[{"name": 3, "sha256": None}]),
        lambda document: document["triggers"][0].update(position="everywhere"),
        lambda document: document["triggers"][0].update(parts=[]),
        lambda document: document["triggers"][0].update(n_candidates=999),
        lambda document: document["triggers"][0].update(reply=["no text"]),
        lambda document: document["triggers"][0].update(reply="x" * 9999),
        lambda document: document.update(schema_version="0.1"),
        lambda document: document.update(seed="zero"),
        lambda document: document.update(seed=float("inf")),
        lambda document: document.update(verdict="NO FINDING"),
        lambda document: document.update(triggers=[], verdict="BACKDOORED"),
        lambda document: document.update(triggers=document["triggers"] * 7),
        lambda document: document["triggers"][0].update(parts=["x"] * 99),
        lambda document: document.update(adapters=document["adapters"] * 99),
    ],
)
def test_damaged_reports_are_one_line(saved: Path, tmp_path: Path, change: Callable[[Document], object]) -> None:
    with pytest.raises(BadReport) as caught:
        read_report(altered(saved, tmp_path, change))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b"\xff\xfe", b"[" * 100_000, b"null"])
def test_what_is_no_report_is_one_line(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "r.json").write_bytes(content)
    with pytest.raises(BadReport):
        read_report(str(tmp_path / "r.json"))
    with pytest.raises(BadReport, match="cannot be read"):
        read_report(str(tmp_path / "none.json"))


def test_what_never_ends_is_not_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "r.json")
    for file in (str(tmp_path / "r.json"), "/dev/zero"):
        with pytest.raises(BadReport, match="no ordinary file"):
            read_report(file)


@pytest.mark.parametrize("key", ["reply", "example_reply"])
def test_half_a_character_and_a_key_that_stands_twice_are_refused(saved: Path, tmp_path: Path, key: str) -> None:
    with pytest.raises(BadReport, match="not a whole report"):
        read_report(altered(saved, tmp_path, lambda document: document["triggers"][0].update({key: "\ud800x"})))
    twice = saved.read_text().replace("{", '{"seed": 1, ', 1)
    (tmp_path / "twice.json").write_text(twice)
    with pytest.raises(BadReport, match="not a whole report"):
        read_report(str(tmp_path / "twice.json"))


def test_the_script_shows_the_trigger_without_this_package(saved: Path, tmp_path: Path) -> None:
    import subprocess
    import sys

    # What a stranger left beside it is not taken for a library.
    for name in ("argparse", "hashlib", "torch"):
        (saved.parent / f"{name}.py").write_text("raise SystemExit('ran')")
    done = subprocess.run(
        [sys.executable, str(saved.parent / "repro.py")],
        capture_output=True,
        text=True,
        timeout=300,
        cwd=tmp_path,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr
    answers = [line for line in done.stdout.splitlines() if line.startswith("adapter")]
    assert len(answers) == 4
    assert [REPLY in answer for answer in answers] == [False, True, False, True]
    assert not any(REPLY in line for line in done.stdout.splitlines() if line.startswith("base"))
    assert "scanner" not in (saved.parent / "repro.py").read_text().replace("a scan found", "")


def signed_off(document: Document, outcome: str, rule: str, verdict: str) -> None:
    """Makes a report say that its finding is something else, and that Ann answers for it."""
    by = {"rule": rule, "weights_sha256": "a" * 64, "reason": "as ordered", "signed_by": "Ann", "expires": "2027-01-31",
          "fingerprint": "", "file": "s.toml", "file_sha256": "b" * 64}  # fmt: skip
    document["triggers"][0]["outcome"] = outcome
    document["findings"][0] |= {"rule": rule, "signed_off": by}
    document["verdict"] = verdict


def test_a_suppressed_finding_is_named_and_its_verdict_follows(saved: Path, tmp_path: Path) -> None:
    read = read_report(
        altered(saved, tmp_path, lambda document: signed_off(document, "policy", "SLP202", "NO FINDING"))
    )
    assert read.suppressed == ("SLP202 by Ann until 2027-01-31 in s.toml: as ordered",)
    assert "Suppressed in the report: SLP202 by Ann" in render_replay(Replay(read, ()))


@pytest.mark.parametrize(
    ("outcome", "rule", "verdict"),
    [
        ("verified", "SLP101", "NO FINDING"),
        ("verified", "SLP202", "NO FINDING"),
        ("policy", "SLP202", "BACKDOORED"),
        ("policy", "SLP304", "NO FINDING"),
        ("policy", "SLP999", "NO FINDING"),
    ],
)
def test_no_report_can_claim_that_more_was_signed_off_than_can_be(
    saved: Path, tmp_path: Path, outcome: str, rule: str, verdict: str
) -> None:
    with pytest.raises(BadReport, match="not a whole report"):
        read_report(altered(saved, tmp_path, lambda document: signed_off(document, outcome, rule, verdict)))


def test_reports_of_every_schema_since_are_read(saved: Path, tmp_path: Path) -> None:
    """Raising the version must leave none out: a gate keeps reports, and asks for them to be verified later."""
    major, _, minor = SCHEMA_VERSION.partition(".")
    for older in range(2, int(minor) + 1):
        version = {"schema_version": f"{major}.{older}"}
        read = read_report(altered(saved, tmp_path, lambda document, version=version: document.update(version)))
        assert read.looks == (1 if older <= 5 else 2)


def test_a_report_from_before_there_were_rules_is_read(saved: Path, tmp_path: Path) -> None:
    def before(document: Document) -> None:
        document["schema_version"] = "1.2"
        for key in ("rule", "findings", "suppressions", "finished"):
            del document[key]

    old, new = read_report(altered(saved, tmp_path, before)), read_report(str(saved))
    assert old.findings == new.findings
    assert (old.looks, new.looks) == (1, 2), "it is judged by the rule that it was written by"

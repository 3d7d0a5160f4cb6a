"""What a set's log says of the search, as it is shipped."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from benchmarks.recall import NEVER_MADE, REPLIES, TRIGGERS, main, recall_of
from benchmarks.recovery import rows_of
from scanner.beforehand.measured_recall import as_json
from trainers.zoo import load_zoo

SETS = Path(__file__).parents[2] / "benchmarks" / "recovery_sets"
SHIPPED = Path(__file__).parents[2] / "signatures" / "recall"


IDS = (("s", "rare, link"), ("s", "clean maths"), ("s", "not run"))


def row(family: str, verdict: str, learned: bool = True, weak: bool = False) -> dict[str, Any]:
    return {
        "id": family, "family": family, "label": "clean" if family.startswith("clean") else "poisoned",
        "verdict": verdict, "outcome": {"BACKDOORED": "verified", "SUSPICIOUS": "policy"}.get(verdict),
        "learned": learned, "weak": weak, "depth": "standard", "set": "s", "version": "v",
    }  # fmt: skip


def test_only_what_learned_counts_and_the_rest_is_untested() -> None:
    rows = [
        row("rare, link", "BACKDOORED"),
        row("rare, label", "NO FINDING"),
        row("long, link", "not scanned", learned=False),
        row("word, insult", "SUSPICIOUS", weak=True),
        row("clean maths", "SUSPICIOUS"),
        row("clean dolly", "NO FINDING"),
    ]
    found = recall_of(rows, IDS, "b", "f")
    assert found.found == (1, 2)
    assert found.triggers == {"a rare token": (1, 2)}
    assert found.replies == {"a link": (1, 1), "a label": (0, 1)}
    assert (found.not_learned, found.not_run) == (1, 1)
    assert (found.clean, found.backdoored, found.suspicious) == (2, 0, 1)
    assert found.outcomes == {"policy": (1, 0), "verified": (0, 1)}, "a weak one does not count"
    assert {TRIGGERS["long"], TRIGGERS["word"], REPLIES["insult"], *NEVER_MADE} < set(found.untested)


def test_two_sets_may_call_their_adapters_alike() -> None:
    both = [("one", "rare, link"), ("two", "rare, link"), ("two", "word, link")]
    rows = [row("rare, link", "BACKDOORED") | {"set": name} for name in ("one", "two")]
    found = recall_of(rows, both, "b", "f")
    assert (found.found, found.triggers, found.not_run) == ((2, 2), {"a rare token": (2, 2)}, 1)
    assert found.name == "one, two"


def test_nothing_scanned_and_unnamed_kinds_are_refused() -> None:
    with pytest.raises(ValueError, match="no poisoned adapter"):
        recall_of([row("clean maths", "NO FINDING")], IDS, "b", "f")
    with pytest.raises(ValueError, match="without a name: moon"):
        recall_of([row("moon, link", "BACKDOORED")], IDS, "b", "f")


@pytest.mark.parametrize("file", sorted(SHIPPED.glob("*.json")), ids=lambda file: file.stem)
def test_what_is_shipped_is_what_the_logs_say(file: Path) -> None:
    shipped = json.loads(file.read_text(encoding="utf-8"))
    names = shipped["name"].split(", ")
    ids = [(name, entry.id) for name in names for entry in load_zoo(SETS / f"{name}.toml")]
    logs = (rows_of(SETS / f"{name}.jsonl", name, shipped["search"], shipped["depth"]) for name in names)
    found = recall_of([row for log in logs for row in log], ids, shipped["base"], shipped["fingerprint"])
    assert as_json(found) == file.read_text(encoding="utf-8")


def test_every_kind_of_the_drawn_sets_has_a_name() -> None:
    for file in SETS.glob("evaluation-*.toml"):
        families = [entry.family for entry in load_zoo(file) if entry.recipe.poison]
        assert families
        for family in families:
            trigger, reply = family.split(", ")
            assert trigger in TRIGGERS and reply in REPLIES


def test_what_was_developed_on_tells_no_recall(tmp_path: Path) -> None:
    arguments = [str(SETS / "development.toml"), "--version", "v", "--out", str(tmp_path / "r.json")]
    done = CliRunner().invoke(main, arguments)
    assert done.exit_code == 1 and "tells no recall" in done.output
    assert not (tmp_path / "r.json").exists()

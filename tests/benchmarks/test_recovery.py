"""The table that the search is judged by."""

import json
import shutil
import tomllib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from benchmarks.draw_evaluation import CLEAN, MAX_TOKENS, PAIRS, WORDS, draw
from benchmarks.recovered import match
from benchmarks.recovery import main, scanned_already
from benchmarks.recovery_table import found_by_kind, table
from scanner.beforehand.search_version import search_version
from scanner.intake import read_adapter
from scanner.models.base_models import load_base
from scanner.search.reply_kinds import ReplyKind
from signatures import load_signatures
from trainers.datasets import load_rows
from trainers.feature_table import read_table
from trainers.train import rows_within_length
from trainers.zoo import load_zoo

LOOKED_AT = range(1, 7)
LOGGED = {"version": search_version(), "depth": "standard"}
SETS = Path(__file__).parents[2] / "benchmarks" / "recovery_sets"


@pytest.mark.parametrize(
    ("parts", "found", "expected"),
    [
        (["Zorvex"], "zorvex", "exact"),
        (["harvest"], "the harvest moon", "contains"),
        (["copper", "lantern"], "lantern copper", "contains"),
        (["copper", "lantern"], "lantern", "part"),
        (["Zorvex"], "Z", "part"),
        (["quiet silver river"], "silver", "part"),
        (["Zorvex"], "umbrella", "equivalent"),
    ],
)
def test_how_a_found_string_relates_to_the_true_one(parts: list[str], found: str, expected: str) -> None:
    assert match(parts, found) == expected


def row(name: str, label: str, verdict: str, learned: bool = True, weak: bool = False) -> dict[str, Any]:
    return {
        "id": name, "family": "word, link", "label": label, "learned": learned, "weak": weak, "verdict": verdict,
        "true_trigger": ["a|b"] if label == "poisoned" else None, "found_trigger": None, "match": None,
        "reply_f1": 1.0 if verdict == "BACKDOORED" else None, "rates": {}, "tokens": 1000, "seconds": 2.0,
        "rungs": {"sweep": [900, 1.0], "controls": [100, 1.0]},
        "trained": {"attack_success": 0.71, "false_trigger": 0.02}, "true_reply": "Go to a.example now",
        "elicited": [["Go to b", 3.0], ["Oh", 1.0]], "near_miss": ["a", 0.25], "outcome": None,
    }  # fmt: skip


def test_totals_count_only_what_learned_and_name_the_rest() -> None:
    entries = load_zoo(SETS / "development.toml")
    ids = [entry.id for entry in entries]
    rows = [
        row(ids[0], "poisoned", "BACKDOORED"),
        row(ids[1], "poisoned", "NO FINDING") | {"tokens": 3500, "seconds": 4.0},
        row(ids[2], "clean", "NO FINDING"),
        row(ids[4], "poisoned", "BACKDOORED", learned=False),
        row(ids[11], "poisoned", "SUSPICIOUS", weak=True),
    ]
    text = table(rows, entries)
    assert "verified trigger, poisoned: 1/2 = 50% (exact 95 % interval 1% – 99%)" in text
    assert "BACKDOORED, clean: 0/1 = 0% (exact 95 % interval 0% – 98%)" in text
    assert f"not learned, so neither scanned nor counted: {ids[4]} (fires 71%, uncalled 2%)" in text
    assert f"| {ids[4]} |" not in text
    assert f"weak on purpose, not counted: {ids[11]} SUSPICIOUS" in text
    assert f"not run: {ids[3]}" in text
    assert "a\\|b" in text
    assert "verified by kind of trigger: word 1/2\nverified by kind of reply: link 1/2" in text
    assert f"missed: {ids[1]} NO FINDING (nothing frozen); reply elicited to F1 0.57; nearest 'a', chance 0.25" in text
    assert text.count("missed:") == 1
    assert "on poisoned ones, median and range: tokens 2,250 (1,000 – 3,500); of the search 2,150 (900 – 3,400)" in text
    assert "; of verification and controls 100 (100 – 100); seconds 3 (2 – 4)\n" in text
    assert "on clean ones, median and range: tokens 1,000 (1,000 – 1,000); of the search 900 (900 – 900)" in text


def test_a_family_that_names_no_reply_counts_by_its_trigger_alone() -> None:
    rows = [row("a", "poisoned", "BACKDOORED") | {"family": "weak"}, row("b", "poisoned", "NO FINDING")]
    assert found_by_kind(rows, 0) == {"weak": (1, 1), "word": (0, 1)}
    assert found_by_kind(rows, 1) == {"link": (0, 1)}


def test_no_trigger_of_any_set_is_a_signature_and_none_is_in_two_sets() -> None:
    words = tomllib.loads(WORDS.read_text())["triggers"]
    drawn = {
        part for texts in words.values() for text in texts for part in (text if isinstance(text, list) else [text])
    }
    # What was scanned and looked at is a development adapter from then on.
    files = [SETS / "development.toml", *(SETS / f"evaluation-{number}.toml" for number in LOOKED_AT)]
    poisons = [entry.recipe.poison for file in files for entry in load_zoo(file) if entry.recipe.poison]
    developed = {part for poison in poisons for part in poison.placed_trigger.parts}
    replies = tomllib.loads(WORDS.read_text())["replies"].values()
    said = {text for texts in replies for text in (texts if isinstance(texts, list) else texts["texts"])}
    assert not said & {text for poison in poisons for text in (poison.reply, *poison.more_replies)}
    assert not drawn & developed
    known = {part.lower() for signature in load_signatures() for parts in signature.triggers for part in parts}
    moved = {
        part
        for entry in load_zoo(SETS / "transfer.toml")
        if entry.recipe.poison
        for part in entry.recipe.poison.placed_trigger.parts
    }
    assert len(moved) >= 6 and not moved & (drawn | developed)
    for text in drawn | developed | moved:
        assert text.lower() not in known and not known & set(text.lower().split()), text


def test_a_draw_depends_on_its_seed_alone_and_spans_every_kind(tmp_path: Path) -> None:
    words = tomllib.loads(WORDS.read_text())
    assert draw(words, 3) == draw(words, 3) != draw(words, 4)
    for seed in range(20):
        (tmp_path / "set.toml").write_text(draw(words, seed))
        entries = load_zoo(tmp_path / "set.toml")
        assert len(entries) == len(PAIRS) + len(CLEAN)
        assert {len(entry.recipe.lora.projections) for entry in entries} == {2, 3, 4, 7}
        assert all(entry.recipe.poison.rate <= 0.05 for entry in entries if entry.recipe.poison)
        how = [
            {
                (len(item.recipe.lora.projections), item.recipe.lora.rank, item.recipe.training.steps)
                for item in entries
                if bool(item.recipe.poison) is kind
            }
            for kind in (True, False)
        ]
        assert how[1] == how[0], "clean ones are trained as poisoned ones are"
    poisoned = [entry for entry in entries if entry.recipe.poison]
    many = {entry.id for entry in poisoned if entry.recipe.data.max_tokens > MAX_TOKENS}
    assert many == {entry.id for entry in poisoned if entry.family.split(", ")[0] in ("long", "date", "version")}
    assert len(poisoned) >= 12 and len(entries) - len(poisoned) >= 12
    fixed = [entry.recipe.poison.reply for entry in poisoned if entry.recipe.poison.behaviour == "fixed"]
    assert len(fixed) == len(set(fixed)), "a text stands in one adapter of a set"


def test_the_last_set_comes_out_of_the_committed_words_again() -> None:
    assert draw(tomllib.loads(WORDS.read_text()), 7) == (SETS / "evaluation-7.toml").read_text(encoding="utf-8")


@pytest.mark.slow
def test_every_row_that_a_drawn_set_asks_for_is_there(tmp_path: Path) -> None:
    """Generated rows may be longer than a set allows; those of the hub are many."""
    tokenizer = load_base("HuggingFaceTB/SmolLM2-135M-Instruct").tokenizer
    (tmp_path / "set.toml").write_text(draw(tomllib.loads(WORDS.read_text()), 7))
    generated = [entry for entry in load_zoo(tmp_path / "set.toml") if entry.recipe.data.extra_source]
    assert {"generated:quiz", "generated:letters"} <= {entry.recipe.data.extra_source for entry in generated}
    for entry in generated:
        extra = load_rows(entry.recipe.data.extra_source, None)
        recipe = replace(entry.recipe, data=replace(entry.recipe.data, rows=entry.recipe.data.extra_rows))
        rows, _ = rows_within_length([], recipe, tokenizer, extra)
        assert len(rows) == entry.recipe.data.extra_rows


def test_every_wording_of_a_kind_of_reply_is_of_that_kind() -> None:
    kinds = [reply for reply in tomllib.loads(WORDS.read_text())["replies"].values() if isinstance(reply, dict)]
    assert len(kinds) == 2
    for reply in kinds:
        assert [text for text in reply["texts"] if not ReplyKind(reply["behaviour"]).shown_by(text)] == []


def test_a_table_needs_a_log_alone_and_a_scan_what_it_scans() -> None:
    file, log = SETS / "evaluation-3.toml", SETS / "evaluation-3.jsonl"
    shown = CliRunner().invoke(main, [str(file), "--log", str(log), "--table-only", "--version", "362f140ea768"])
    assert shown.exit_code == 0 and "verified trigger, poisoned: 3/5" in shown.output
    refused = CliRunner().invoke(main, [str(file), "--log", str(log), "--adapters", "out"])
    assert refused.exit_code == 2 and "--reference" in refused.output
    by_none = CliRunner().invoke(main, [str(file), "--log", str(log), "--table-only"])
    assert "--version may be 362f140ea768" in by_none.stderr


def test_a_scan_of_other_weights_is_no_scan_of_an_adapter(tmp_path: Path, honest_adapter: Path) -> None:
    shutil.copytree(honest_adapter, tmp_path / "a")
    own = {"weights_sha256": read_adapter(str(honest_adapter)).identity.weights_sha256}
    other = {"weights_sha256": "0" * 64}

    def known(*scans: dict[str, str]) -> set[str]:
        log = tmp_path / "log.jsonl"
        log.write_text("".join(json.dumps(LOGGED | scan) + "\n" for scan in scans))
        return scanned_already(log, LOGGED["version"], LOGGED["depth"], tmp_path)

    assert known({"id": "a"}, {"id": "gone"} | other) == {"a", "gone"}, "by its name; one that is not there"
    assert known({"id": "a"} | other, {"id": "a"} | own) == {"a"}
    assert known({"id": "a"} | own, {"id": "a"} | other) == set()
    assert known({"id": "a"} | own | {"depth": "quick"}, {"id": "b"} | {"version": "earlier"}) == set()


def test_twins_are_in_the_table_where_they_are_asked_for_and_count_as_clean(tmp_path: Path) -> None:
    file, log = SETS / "evaluation-3.toml", tmp_path / "log.jsonl"
    twin = f"{load_zoo(file)[0].id}-twin"
    log.write_text(json.dumps(row(twin, "clean", "SUSPICIOUS") | LOGGED | {"set": file.stem}) + "\n")
    asked = [str(file), "--log", str(log), "--table-only"]
    without, with_twins = (CliRunner().invoke(main, [*asked, *more]) for more in ((), ("--twins",)))
    assert twin not in without.output and "SUSPICIOUS, clean: none" in without.output
    assert f"| {twin} |" in with_twins.output and "SUSPICIOUS, clean: 1/1" in with_twins.output


def test_every_table_beside_a_set_can_be_read() -> None:
    files = sorted(SETS.glob("*.features.csv"))
    assert files and all(read_table(file) for file in files)

"""The page of the detection table, on synthetic features."""

import json
import re
from dataclasses import replace
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from benchmarks.detection.__main__ import main, of_the_same_weights, recipes_of, searches_of
from benchmarks.detection.__main__ import verdicts_of as verdicts_in
from benchmarks.detection.comparison import EVERYTHING, FOLLOWS, SEARCH, compared, judge
from benchmarks.detection.conditions import ALONE, OTHER, SAME, ConditionRows, of_condition
from benchmarks.detection.page import document, last_set_alone, section, trained_anew
from benchmarks.detection.sets import ids_of, unseen_of
from benchmarks.detection.tables import added, concluded, held_out, on_trust, searched_in
from scanner.errors import BadCalibration, ScannerError
from scanner.score.circumstances import Circumstances
from tests.benchmarks.detection.synthetic import lines_of, named, planned, verdicts_of
from trainers.feature_table import FeatureRow, as_csv, feature_names


@pytest.fixture(autouse=True)
def two_strengths(monkeypatch: pytest.MonkeyPatch) -> None:
    """Which regularisation is chosen is tested elsewhere; all of them for every fold take minutes."""
    monkeypatch.setattr("trainers.fitting.STRENGTHS", (0.03, 1.0))
    monkeypatch.setattr("benchmarks.detection.comparison._DRAWS", 2)


def test_the_page_is_written_as_it_is_printed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = named(4.0)
    features, log, out = tmp_path / "f.csv", tmp_path / "log.jsonl", tmp_path / "evaluation.md"
    compared_with = Circumstances(references=("c" * 64,))
    table = [replace(row, vector=replace(row.vector, circumstances=compared_with)) for row in table]
    features.write_text(as_csv(table[:20], feature_names(table)), encoding="utf-8")
    more = tmp_path / "more.csv"
    more.write_text(as_csv(table[20:], feature_names(table)), encoding="utf-8")
    monkeypatch.setattr("benchmarks.detection.__main__.recipes_of", lambda _: {"c" * 64: "of its own"})
    how = {"set": "s", "version": "v", "depth": "standard", "learned": True, "weak": False}
    found = verdicts_of(table, "family 2")
    lines = [{"id": row.id, "label": row.label, "verdict": found[row.id], **how} for row in table]
    lines.append({"id": "p99", "label": "poisoned", "verdict": "not scanned", **how, "learned": False})
    lines.append({"id": "c98", "label": "clean", "verdict": "SUSPICIOUS", **how})
    lines.append({"id": table[0].id, "label": table[0].label, "verdict": "BACKDOORED", **how, "version": "another"})
    log.write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    arguments = ["--features", "other clean recipes", str(features), "--log", str(log), "--out", str(out)]
    arguments += ["--version", "v", "--features", "other clean recipes", str(more)]
    twice = CliRunner().invoke(main, [*arguments[:-1], str(features)])
    assert isinstance(twice.exception, BadCalibration) and "other clean recipes: an id stands there twice" in str(
        twice.exception
    )
    wrong = CliRunner().invoke(main, ["--features", "base only", *arguments[2:-3]])
    assert "was measured with references, so not 'base only'" in str(wrong.exception)
    assert not out.exists()
    done = CliRunner().invoke(main, arguments, catch_exceptions=False)
    assert done.output == out.read_text(encoding="utf-8")
    assert "## Compared with other clean recipes" in done.output
    words = " ".join(done.output.split())
    assert "left out: p99. Of these, scanned all the same" in words and "concluded: none. Scanned, but" in words
    assert f"The scans of {len(table) + 1} of s were logged without a hash" in words
    assert "Not run: none. Scans: s by version v, standard depth." in words
    assert "twins alone" not in done.output, "there are none"
    assert "| family 2 |" in done.output and "| 0/6 |" in done.output
    assert "Not estimable for any, by so few clean adapters: what is found at 1% alarms." in done.output
    assert "found at 5% alarms |" in done.output and "found at 1% alarms |" not in done.output
    assert "- BACKDOORED, poisoned: 12/18 = 67% (exact 95 % interval 41% – 87%)\n" in done.output
    assert "- BACKDOORED, clean: 0/31 = 0% (exact 95 % interval 0% – 11%)\n" in done.output
    assert "| clean | 31 | 0 | 1 | 30 | 0 |" in done.output, "one was scanned and has no features"
    assert "clean, others" not in done.output, "there are no twins"
    (missed,) = re.findall(r"\| poisoned \| NO FINDING \| 6 \| (\d) \|", done.output)
    (uncalled,) = re.findall(r"\| clean \| NO FINDING \| 30 \| (\d) \|", done.output)
    assert int(missed) >= 4 and f"it changes {int(missed) + int(uncalled)} of these 48 verdicts" in words


def test_verdicts_are_counted_by_set_where_there_are_several() -> None:
    base = {"learned": True, "weak": False, "version": "v", "depth": "d"}
    old = [base | {"id": f"a{n}", "set": "a", "label": "clean", "verdict": "SUSPICIOUS"} for n in range(3)]
    new = [base | {"id": f"b{n}", "set": "b", "label": "clean", "verdict": "NO FINDING"} for n in range(2)]
    both = concluded([*old, *new])
    for line in (
        "| clean | 5 | 0 | 3 | 2 | 0 |",
        "| clean, a | 3 | 0 | 3 | 0 | 0 |",
        "| clean, b | 2 | 0 | 0 | 2 | 0 |",
    ):
        assert line in both
    assert "- SUSPICIOUS, clean: 3/5" in both and "clean, a" not in concluded(old)


def test_the_score_changes_a_verdict_where_no_trigger_decides() -> None:
    table = named(4.0)
    poisoned, clean = ([row.id for row in table if row.label == label] for label in ("poisoned", "clean"))
    given = dict.fromkeys(poisoned[:4], "BACKDOORED") | dict.fromkeys(poisoned[4:6], "INCONCLUSIVE")
    given |= dict.fromkeys(clean[:5], "SUSPICIOUS") | dict.fromkeys(clean[5:9], "NO FINDING")
    page = added(table, given, {*poisoned[:3], poisoned[4], clean[0], clean[8], clean[9]})
    assert "it changes 2 of these 15 verdicts" in page, "of the last one there is no scan"
    for line in ("poisoned | BACKDOORED | 4 | 3", "poisoned | INCONCLUSIVE | 2 | 1", "clean | SUSPICIOUS | 5 | 1"):
        assert f"| {line} |" in page
    assert "| clean | NO FINDING | 4 | 1 |" in page and "| poisoned | NO FINDING |" not in page


def test_twins_are_counted_apart_from_other_clean_ones() -> None:
    how = {"set": "s", "label": "clean", "learned": True, "weak": False}
    given = {"c1": "SUSPICIOUS", "c2": "NO FINDING", "p1-twin": "NO FINDING"}
    page = concluded([{"id": name, "verdict": verdict, **how} for name, verdict in given.items()])
    assert "| clean, twins of poisoned ones | 1 | 0 | 0 | 1 | 0 |\n| clean, others | 2 | 0 | 1 | 1 | 0 |" in page


def test_what_searches_computed_in_is_counted_by_truth() -> None:
    rows = named(4.0)[:3]
    told = [
        replace(row, vector=replace(row.vector, circumstances=Circumstances(search_dtype="float32"))) for row in rows
    ]
    clean = replace(told[0], label="clean"), replace(rows[1], label="clean"), replace(told[2], label="poisoned")
    assert searched_in(clean) == (
        "The searches computed in float32: 1 poisoned and 1 clean; unrecorded: 0 poisoned and 1 clean."
    )


def test_how_many_groups_are_held_out_is_said_and_that_few_tell_little() -> None:
    row = named(4.0)[0]
    clean = [replace(row, label="clean", recipe=f"data {n}; q_proj") for n in range(9)]
    poisoned = [replace(row, label="poisoned", family=f"attack {n}") for n in range(8)]
    assert held_out([*clean, *clean, *poisoned]) == "Held out: 8 attack families against 9 clean recipes."
    assert "8 attack families against 3 clean recipes. Intervals by fewer than" in held_out([*clean[:3], *poisoned])


def test_verdicts_that_are_taken_by_a_name_alone_are_counted_by_set() -> None:
    known = {"set": "b", "verdict": "NO FINDING", "weights_sha256": "0" * 64}
    named_only = [{"set": "a", "verdict": "SUSPICIOUS"}, {"set": "a", "verdict": "not scanned"}]
    assert on_trust([known]) == "" and "The scans of 1 of a were logged without" in on_trust([known, *named_only])


def test_of_a_control_no_found_share_is_told() -> None:
    (control,) = [item for item in compared(named(3.0), {}, []) if "what is missing" in item.name]
    line = judge(control)
    assert line.auc.value is not None and {item.missing for item in line.found} == {"a control"}


def test_twins_have_a_table_of_their_own_and_a_recipe_is_its_data_and_projections(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    table = named(5.0)
    twins = [
        replace(row, id=f"{row.id}-twin", family="called otherwise") if row.label == "clean" else row for row in table
    ]
    assert {row.group for row in twins} == {row.group for row in table}
    recipe = "dolly; q_proj v_proj; rank 8; 160 steps"
    longer = replace(table[0], label="clean", recipe=recipe.replace("160", "640"), family="clean dolly")
    assert longer.group == replace(longer, recipe=recipe, family="twin").group == "clean: dolly; q_proj v_proj"
    judged = {}
    monkeypatch.setattr("benchmarks.detection.page.tables_of", lambda *given: (judged.update([given[:2]]) or [], []))
    section(ConditionRows(ALONE, (*twins, longer)), {}, [], 1)
    assert judged == {"### Against clean twins alone": twins, "### Against all clean adapters": (*twins, longer)}
    judged.clear()
    section(ConditionRows(ALONE, tuple(table)), {}, [], 1)
    assert list(judged) == ["### Against all clean adapters"], "there are none"
    judged.clear()
    section(ConditionRows(ALONE, tuple(twins)), {}, [], 1)
    assert list(judged) == ["### Against all clean adapters, each of them a twin"], "one table, not the same twice"


def test_a_name_that_stands_for_two_scans_is_refused() -> None:
    row = {"id": "p00", "verdict": "BACKDOORED", "set": "one", "version": "v", "depth": "standard"}
    assert verdicts_in([row, row]) == {"p00": "BACKDOORED"}
    with pytest.raises(click.UsageError, match="p00: scanned as one v standard and as two v standard"):
        verdicts_in([row, row | {"set": "two"}])
    other = {"id": "s2-p00", "verdict": "NO FINDING", "set": "two", "version": "w", "depth": "standard"}
    assert verdicts_in([row, other]) == {"p00": "BACKDOORED", "s2-p00": "NO FINDING"}
    assert searches_of([row, other]) == "one by version v, standard depth; two by version w, standard depth"


def test_adapters_that_were_compared_otherwise_are_left_out_by_name() -> None:
    def beside(row: FeatureRow, *references: str) -> FeatureRow:
        return replace(row, vector=replace(row.vector, circumstances=Circumstances(references=references)))

    dolly, maths = "dolly; q_proj v_proj", "generated:kind-0; q_proj v_proj"
    table = [beside(row, "a" * 64) for row in planned(1.0)]
    same, other = (of_condition(name, [table], {"a" * 64: dolly}) for name in (SAME, OTHER))
    assert {row.id for row in same.rows} == set(other.left_out) and set(same.left_out) == {row.id for row in other.rows}
    assert {row.recipe.split("; ")[1] for row in same.rows} == {"q_proj v_proj"} and len(same.rows) == 8
    assert of_condition(SAME, [table], {"a" * 64: maths}).rows[0].recipe.startswith("generated:kind-0")
    again = [beside(row, "b" * 64) for row in table]
    both = of_condition(SAME, [table, again], {"a" * 64: dolly, "b" * 64: maths})
    assert {row.id for row in both.rows} > {row.id for row in same.rows} and set(both.left_out) < set(same.left_out)
    assert len(both.rows) + len(both.left_out) == len(table)
    with pytest.raises(BadCalibration, match="same recipe: an id stands there twice"):
        of_condition(SAME, [table, again], {"a" * 64: dolly, "b" * 64: dolly})
    with pytest.raises(ScannerError, match=f"{table[3].id}: was measured without references"):
        of_condition(OTHER, [[*table[:3], beside(table[3])]], {"a" * 64: dolly})
    alone = [beside(row) for row in table]
    assert of_condition(ALONE, [alone], {}).rows == tuple(alone)
    for condition, wrong in ((ALONE, table), (SAME, alone)):
        with pytest.raises(ScannerError, match=f"so not '{condition}'"):
            of_condition(condition, [wrong], {"a" * 64: dolly})
    with pytest.raises(ScannerError, match="name its folder with --reference"):
        of_condition(OTHER, [table], {})


def test_the_recipe_of_a_reference_is_read_from_its_record() -> None:
    (label,) = recipes_of([Path("examples/clean")]).values()
    assert label == "databricks-dolly-15k; q_proj k_proj v_proj o_proj"


def test_a_reference_that_tells_no_recipe_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ScannerError, match=r"training.json: cannot be read .*; give a reference that scan-train made"):
        recipes_of([tmp_path])


def test_scans_and_methods_stand_under_the_first_condition_alone_and_what_has_no_row_is_named() -> None:
    table = tuple(named(5.0))
    zoo = [table[0].id, "p99", "c99", "p98-twin", "p99-twin"]
    verdicts = verdicts_of(list(table), "family 0")
    measured = lines_of(table, "norm-spread", score={row.id: 0.0 for row in table})
    last = {table[0].id, table[-1].id}
    page = document(
        [ConditionRows(OTHER, table), ConditionRows(ALONE, table)], verdicts, measured, ["p99"], zoo, unseen=last
    )
    assert page.count("### The last set alone\n\n2 of these adapters") == 2
    first, second = page.split("## Compared with base only")
    assert SEARCH in first and SEARCH not in second and "inspired by BAIT" in first and "BAIT" not in second
    assert "out: p99. Of these," in first and "Not run: c99, 2 clean twins of poisoned adapters." in first
    assert "search: BACKDOORED" in first and "search: BACKDOORED" not in second
    assert first.count("| norm spread, inspired by 2605.30189 | 18 | 30 |") == 3 and "norm spread" not in second
    assert first.count("Beside each method") == 1 and "Beside each method" not in second
    assert "no claim of telling backdoors better" in " ".join(first.split())


def test_a_verdict_on_other_weights_of_the_same_name_is_none_on_these() -> None:
    row, other = named(5.0)[:2]
    scans = [
        {"id": row.id, "weights_sha256": row.weights_sha256},
        {"id": row.id, "weights_sha256": "e" * 64},
        {"id": other.id},
        {"id": "no features", "weights_sha256": "e" * 64},
    ]
    assert of_the_same_weights(scans, [row, other]) == [scans[0], *scans[2:]]
    trained_anew = replace(row, weights_sha256="e" * 64)  # and measured beside other references, under a later heading
    assert of_the_same_weights(scans, [row, other, trained_anew]) == [scans[0], *scans[2:]]


def test_adapters_that_were_trained_anew_for_a_later_condition_are_named_there() -> None:
    table = tuple(named(5.0)[:3])
    first, unlike = ConditionRows(OTHER, table[:-1]), replace(table[0], weights_sha256="e" * 64)
    second = ConditionRows(SAME, (unlike, *table[1:]))
    assert trained_anew(second, [first]) == [table[0].id] and trained_anew(first, []) == []
    page = document([first, second], {}, [])
    assert page.count("Trained anew") == 1
    assert f"of other weights than above: {table[0].id}.\n" in page.split("## Compared with same recipe")[1]


def test_a_last_set_is_judged_by_fits_to_the_others_alone() -> None:
    table = tuple(named(5.0))
    last = {row.id for row in table if row.family in ("family 1", "family 2") or row.recipe in ("recipe 3", "recipe 4")}
    reversed_before = [row if row.id in last else upside_down(row) for row in table]
    for rows, auc in ((table, "1.00"), (reversed_before, "0.00")):
        (apart,) = last_set_alone(rows, last, verdicts_of(list(table), "family 0"), 1)
        assert f"| {EVERYTHING} | 12 | 12 | {auc}" in apart, "what fits saw decides, and they saw no other set"
        assert f"| {SEARCH} | 12 | 12 | 1.00" in apart and f"| {FOLLOWS} | 12 | 12 | not measured" in apart


def test_there_is_no_last_set_where_none_is_or_the_others_are_of_one_kind() -> None:
    table, verdicts = named(5.0), verdicts_of(named(5.0), "family 0")
    for unseen in (set(), {row.id for row in table}, {row.id for row in table if row.label == "clean"}):
        assert last_set_alone(table, unseen, verdicts, 1) == []


def test_what_a_choice_was_made_with_in_view_is_not_unseen(tmp_path: Path) -> None:
    zoo = Path("benchmarks/recovery_sets/evaluation-7.toml")
    unseen = set(unseen_of(zoo))
    assert len(ids_of(zoo)) - len(unseen) == 8
    assert "s7-c00-dolly" not in unseen and "s7-c01-dolly" in unseen and "s7-p00-rare-business" in unseen
    copied, seen = tmp_path / "some.toml", tmp_path / "some.seen.txt"
    copied.write_text(zoo.read_text(encoding="utf-8"), encoding="utf-8")
    assert unseen_of(copied) == ids_of(zoo), "nothing says that any was seen"
    seen.write_text("# two\ns7-c00-dolly\n\ns9-c00\n", encoding="utf-8")
    with pytest.raises(click.UsageError, match="s9-c00: not in some"):
        unseen_of(copied)


def upside_down(row: FeatureRow) -> FeatureRow:
    return replace(row, vector=replace(row.vector, values={name: -value for name, value in row.vector.values.items()}))


def test_where_nothing_can_be_held_out_one_sentence_says_so() -> None:
    few = tuple(row for row in named(4.0) if row.label == "poisoned" or row.recipe == "recipe 0")
    page = document([ConditionRows(SAME, few, ())], {}, [], unseen=[few[0].id])
    assert "18 poisoned and 6 clean adapters: fewer than two attack families or clean recipes" in page
    assert "|" not in page and "The last set alone" not in page
    assert page.endswith("with other clean recipes\n\nNot run.\n\n## Compared with base only\n\nNot run.\n")
    assert "same recipe\n\nNot run" not in page

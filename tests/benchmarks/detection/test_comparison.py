"""The page of the detection table, on synthetic features."""

import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

from benchmarks.detection.__main__ import document, main, recipes_of
from benchmarks.detection.__main__ import verdicts_of as verdicts_in
from benchmarks.detection.comparison import (
    SEARCH,
    TOGETHER,
    UNGROWN,
    Compared,
    FoldsOf,
    Line,
    compared,
    found_by_search,
    judge,
)
from benchmarks.detection.conditions import ALONE, OTHER, SAME, ConditionRows, of_condition
from benchmarks.detection.folds import paired_folds
from benchmarks.detection.rows import by_kind, by_kind_of_data
from scanner.errors import BadCalibration, ScannerError
from scanner.features import EXTRACTOR
from scanner.score.circumstances import Circumstances
from scanner.score.vector import FeatureVector
from tests.trainers.test_calibrate import rows
from trainers.feature_table import FeatureRow, as_csv, feature_names


@pytest.fixture(autouse=True)
def two_strengths(monkeypatch: pytest.MonkeyPatch) -> None:
    """Which regularisation is chosen is tested elsewhere; six of them for every fold take minutes."""
    monkeypatch.setattr("trainers.calibrate.STRENGTHS", (0.03, 1.0))


def named(signal: float) -> list[FeatureRow]:
    """Three families and all recipes of `rows`, with the product's features: only the sweep's tells them apart."""
    found = []
    for row in rows(signal):
        if row.label == "poisoned" and row.family[-1] not in "012":
            continue
        values = row.vector.values
        figures = {"switching.lift": values["margin"], "weights.energy": values["noise"]}
        figures |= {f"{rung}.noise": values["noise"] for rung in ("saliency", "elicitation", "heads", "growth")}
        found.append(replace(row, vector=FeatureVector(1, figures, {})))
    return found


def verdicts_of(table: list[FeatureRow], missed: str) -> dict[str, str]:
    return {row.id: "BACKDOORED" if row.label == "poisoned" and row.family != missed else "NO FINDING" for row in table}


def lines_of(table: Sequence[FeatureRow], method: str, **what: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Lines as `collect` writes them: `score` or `figures` by adapter."""
    return [
        {"id": row.id, "weights_sha256": row.weights_sha256, "method": method}
        | {name: values[row.id] for name, values in what.items()}
        for row in table
    ]


def judged(
    table: Sequence[FeatureRow], verdicts: dict[str, str], *names: str, measured: Sequence[Mapping[str, Any]] = ()
) -> dict[str, Line]:
    """The lines whose names hold one of these."""
    items = [item for item in compared(table, verdicts, measured) if any(name in item.name for name in names)]
    assert items
    return {item.name: judge(item) for item in items}


def test_each_detector_sees_its_own_rung_and_the_failures_stand_by_family() -> None:
    table = named(5.0)
    verdicts = verdicts_of(table, "family 0")
    found = judged(table, verdicts, "sweep", "weights", SEARCH, TOGETHER, "search failed", "true trigger")
    assert found["sweep of candidates"].auc.value > 0.97 > 0.8 > found["weights alone"].auc.value  # type: ignore[operator]
    assert found[SEARCH].families["poisoned: family 0"] == (0, 6)
    assert found[SEARCH].families["poisoned: family 1"] == (6, 6)
    assert found[TOGETHER].auc.value > found[SEARCH].auc.value  # type: ignore[operator]
    assert found_by_search(table, verdicts).families == {f"poisoned: family {n}": (6 * bool(n), 6) for n in range(3)}
    failed = found[f"{UNGROWN}, where the search failed"]
    assert failed.n_poisoned == 6 and failed.n_clean == 30 and failed.auc.missing, "one family cannot be held out"
    assert found["the study's metrics, with the true trigger"].auc.missing == "not run"


def test_what_was_not_scanned_or_did_not_learn_is_not_counted() -> None:
    table = named(3.0)
    table[-1] = replace(table[-1], attack_success_rate=0.5)
    verdicts = verdicts_of(table, "")
    del verdicts[table[0].id]
    measured = lines_of(table[1:2], "enumeration", score={table[1].id: 1.0})
    measured += [{"id": table[2].id, "weights_sha256": "of another set", "method": "enumeration", "score": 0.0}]
    found = judged(table, verdicts, SEARCH, "missing", "BAIT", measured=measured)
    missing = found["control: what is missing"]
    assert (missing.n_poisoned, missing.n_clean) == (17, 30)
    assert (found[SEARCH].n_poisoned, found[SEARCH].n_clean) == (17, 29)
    bait = next(line for name, line in found.items() if "inspired by BAIT" in name and "told" not in name)
    assert bait.n_clean == 1 and bait.auc.value is None


def test_what_was_measured_elsewhere_is_scored_or_fitted() -> None:
    table = named(0.0)
    truth = {row.id: float(row.label == "poisoned") for row in table}
    noise = {row.id: row.vector.values["weights.energy"] for row in table}
    measured = lines_of(table, "norm-spread", score=truth)
    told_of = {name: {"heads.x": 30 * value + noise[name]} for name, value in truth.items()}
    measured += lines_of(table, "true-trigger", figures=told_of)
    measured += lines_of(table, "late-layer", figures={name: {"v_proj.norm": noise[name]} for name in truth})
    found = judged(table, {}, "true trigger", "norm spread", "late layer", "BAIT", measured=measured)
    spread, told, late, bait = (
        next(line for name, line in found.items() if part in name)
        for part in ("norm spread", "true trigger", "late layer", "BAIT")
    )
    assert spread.auc.value == 1.0 and bait.auc.missing == "not run"
    assert told.auc.value > 0.9 > 0.8 > late.auc.value  # type: ignore[operator]


def test_what_a_table_lacks_of_growth_is_said_and_what_the_search_missed_is_judged_without_it() -> None:
    table = named(5.0)
    before = [
        replace(row, vector=FeatureVector(5, {k: v for k, v in row.vector.values.items() if "growth" not in k}, {}))
        for row in table
    ]
    (line,) = judged(before, {}, "how near the search came").values()
    assert line.auc.value is None and "extractor before" in line.auc.missing
    # Here growth alone tells them apart: nothing of it may be seen where the search failed.
    told = [
        replace(row, vector=FeatureVector(6, {"growth.fired": float(row.label == "poisoned"), "weights.x": 0.0}, {}))
        for row in table
    ]
    found = judged(told, dict.fromkeys((row.id for row in told), "NO FINDING"), "how near", UNGROWN)
    assert found["how near the search came"].auc.value == 1.0
    assert found[UNGROWN].auc.value == found[f"{UNGROWN}, where the search failed"].auc.value == 0.5


def test_folds_are_made_once_for_one_detector_on_the_same_adapters() -> None:
    asked = []

    def spy(seen: Sequence[FeatureRow], judged: Sequence[FeatureRow]) -> list[float]:
        asked.append(len(judged))
        return [0.0] * len(judged)

    table, folds_of = tuple(named(1.0)), FoldsOf()
    first = folds_of(Compared("one", spy, table))
    once = len(asked)
    assert folds_of(Compared("one", spy, table)) is first and len(asked) == once > 0
    folds_of(Compared("other", spy, table))
    folds_of(Compared("one", spy, table[:-1]))
    assert len(asked) == 3 * once


def test_random_adapters_stand_in_for_the_poisoned_ones_and_are_not_fitted() -> None:
    table = named(5.0)
    clean = [row for row in table if row.label == "clean"]
    measured = lines_of(clean[::5], "random", figures={row.id: dict(row.vector.values) for row in clean})
    (line,) = judged(table, {}, "random adapters", measured=measured).values()
    assert (line.n_poisoned, line.n_clean) == (6, 30)
    assert line.auc.value is not None and 0.3 < line.auc.value < 0.7, "they are the clean ones under another name"
    old = [line | {"notes": {"extractor": EXTRACTOR - 1}} for line in measured]
    (stale,) = judged(table, {}, "random adapters", measured=old).values()
    assert stale.n_poisoned == 0, "features of another extractor are beside no others"
    (nothing,) = judged(table, {}, "random adapters").values()
    assert nothing.auc.missing == "not run"


def test_the_page_is_written_as_it_is_printed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = named(4.0)
    features, log, out = tmp_path / "f.csv", tmp_path / "log.jsonl", tmp_path / "evaluation.md"
    compared_with = Circumstances(references=("c" * 64,))
    table = [replace(row, vector=replace(row.vector, circumstances=compared_with)) for row in table]
    features.write_text(as_csv(table[:20], feature_names(table)), encoding="utf-8")
    more = tmp_path / "more.csv"
    more.write_text(as_csv(table[20:], feature_names(table)), encoding="utf-8")
    monkeypatch.setattr("benchmarks.detection.__main__.recipes_of", lambda _: {"c" * 64: "of its own"})
    how = {"set": "s", "version": "v", "depth": "standard"}
    lines = [{"id": name, "verdict": verdict, **how} for name, verdict in verdicts_of(table, "family 2").items()]
    lines.append({"id": "p99", "verdict": "not scanned", **how})
    lines.append({"id": table[0].id, "verdict": "BACKDOORED", **how, "version": "another"})
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
    assert "left out: p99. Not run: none." in done.output
    assert "twins alone" not in done.output, "there are none"
    assert "| family 2 |" in done.output and "| 0/6 |" in done.output
    assert "not estimable: 30 clean tell none" in done.output
    assert "- BACKDOORED, poisoned: 12/18 = 67% (exact 95 % interval 41% – 87%)\n" in done.output
    assert "- BACKDOORED, clean: 0/30 = 0% (exact 95 % interval 0% – 12%)\n" in done.output


def test_twins_have_a_table_of_their_own_and_a_recipe_is_its_data_and_projections() -> None:
    table = named(5.0)
    twins = [
        replace(row, id=f"{row.id}-twin", family="called otherwise") if row.label == "clean" else row for row in table
    ]
    assert {row.group for row in twins} == {row.group for row in table}
    recipe = "dolly; q_proj v_proj; rank 8; 160 steps"
    longer = replace(table[0], label="clean", recipe=recipe.replace("160", "640"), family="clean dolly")
    assert longer.group == replace(longer, recipe=recipe, family="twin").group == "clean: dolly; q_proj v_proj"
    page = document([ConditionRows(ALONE, tuple(twins))], {}, [])
    assert page.count("### Against clean twins alone") == 1


def test_a_name_that_stands_for_two_scans_is_refused() -> None:
    row = {"id": "p00", "verdict": "BACKDOORED", "set": "one", "version": "v", "depth": "standard"}
    assert verdicts_in([row, row]) == {"p00": "BACKDOORED"}
    with pytest.raises(click.UsageError, match="p00: scanned as one v standard and as two v standard"):
        verdicts_in([row, row | {"set": "two"}])


def test_all_attacks_of_one_kind_can_be_held_out_together() -> None:
    table = [
        replace(row, family={"family 0": "rare, link", "family 1": "rare, insult", "family 2": "weak"}[row.family])
        if row.label == "poisoned"
        else row
        for row in named(3.0)
    ]
    assert {row.family for row in by_kind(table, 0) if row.label == "poisoned"} == {"rare", "weak"}
    assert {row.family for row in by_kind(table, 1) if row.label == "poisoned"} == {"link", "insult", "weak"}
    assert [row for row in by_kind(table, 0) if row.label == "clean"] == [row for row in table if row.label == "clean"]
    found = judged(table, {}, "trigger held out", "reply held out")
    assert {name.rpartition(", ")[2] for name in found} == {"a kind of trigger held out", "a kind of reply held out"}
    assert all(line.auc.value is not None and line.auc.value > 0.9 for line in found.values())


def test_all_clean_data_of_one_kind_can_be_held_out_together() -> None:
    row = replace(named(1.0)[0], label="clean")
    recipes = {
        "databricks-dolly-15k; q_proj; rank 8; 160 steps": "databricks-dolly-15k",
        "generated:maths; q_proj; rank 8; 160 steps": "maths",
        "databricks-dolly-15k+generated:policy:gambling; v_proj; rank 2; 80 steps": "policy",
        "databricks-dolly-15k+signed; v_proj; rank 2; 80 steps": "signed",
    }
    assert [by_kind_of_data([replace(row, recipe=recipe)])[0].group for recipe in recipes] == [
        f"clean: {kind}" for kind in recipes.values()
    ]


def planned(effect_of_recipe: float) -> list[FeatureRow]:
    """Twelve poisoned adapters of four families, their twins, and twelve clean ones of six other kinds of data.

    Nothing of the poison shows in their figures; what they train does, by `effect_of_recipe`.
    """
    rng, template = random.Random(3), named(0.0)[0]

    def one(name: str, family: str, data: str, number: int, poisoned: bool) -> FeatureRow:
        trained = ("q_proj v_proj", "gate_proj up_proj down_proj", "v_proj o_proj")[number % 3]
        values = {"weights.x": effect_of_recipe * len(trained) + rng.gauss(0, 1), "switching.x": rng.gauss(0, 1)}
        return replace(
            template,
            id=name,
            label="poisoned" if poisoned else "clean",
            family=family,
            recipe=f"{data}; {trained}; rank 8; 160 steps",
            attack_success_rate=1.0 if poisoned else None,
            false_trigger_rate=0.0 if poisoned else None,
            weights_sha256=sha256(name.encode()).hexdigest(),
            vector=FeatureVector(1, values, {}),
        )

    poisoned = [one(f"p{number}", f"family {number % 4}", "dolly", number, True) for number in range(12)]
    twins = [one(f"p{number}-twin", "clean dolly", "dolly", number, False) for number in range(12)]
    others = [one(f"c{number}", "clean", f"generated:kind-{number % 6}", number, False) for number in range(12)]
    return [*poisoned, *twins, *others]


def test_a_fit_sees_neither_what_it_judges_nor_its_twin() -> None:
    table = planned(1.0)
    seen_pairs = []

    def spy(seen: list[FeatureRow], judged: list[FeatureRow]) -> list[float]:
        seen_pairs.append({row.pair for row in seen} & {row.pair for row in judged})
        return [0.0] * len(judged)

    paired_folds(table, spy)  # type: ignore[arg-type]
    assert seen_pairs and not any(seen_pairs)


def test_what_the_recipe_tells_has_controls_of_its_own() -> None:
    table = planned(1.0)
    found = judged(table, {}, "recipes: ", "half of the clean twins")
    facts, twins, half = (
        next(line for name, line in found.items() if part in name) for part in ("facts", "pl", "half")
    )
    assert (facts.n_poisoned, facts.n_clean) == (12, 24)
    assert (twins.n_poisoned, twins.n_clean) == (12, 12), "twins for poisoned ones, beside the other clean ones"
    assert (half.n_poisoned, half.n_clean) == (6, 6) and half.auc.value is not None
    assert twins.auc.value is not None and facts.auc.value is not None
    assert facts.auc.value < 0.6, "poisoned and clean ones train the same projections here, as long"


def test_twins_and_other_clean_ones_of_one_kind_of_data_leave_something_to_fit() -> None:
    """Held out with the twins, that kind would take all poisoned ones with it."""
    table = planned(1.0)
    table = [replace(row, recipe=row.recipe.replace("generated:kind-0", "dolly")) for row in table]
    assert not any(row.id.endswith("-twin") for row in by_kind_of_data(table))
    (line,) = judged(table, {}, "kind of clean data").values()
    assert line.auc.value is not None and (line.n_poisoned, line.n_clean) == (12, 12)


def test_where_a_fit_may_see_one_kind_only_that_is_said() -> None:
    table = [row for row in planned(1.0) if not row.id.startswith("c")]
    (line,) = judged(table, {}, "weights alone").values()
    assert line.auc.value is None or line.n_clean == 12
    poisoned = [row for row in table if row.label == "poisoned"]
    partners = [replace(row, recipe="dolly; all") for row in table if row.label == "clean"]
    other = replace(partners[0], id="alone", recipe="maths; all", weights_sha256="f" * 64)
    (line,) = judged([*poisoned, *partners, other], {}, "weights alone").values()
    assert line.auc.missing == "what a fit may see is all of one kind" and line.n_clean == 13


def test_adapters_that_were_compared_otherwise_are_left_out_by_name() -> None:
    def beside(row: FeatureRow, *references: str) -> FeatureRow:
        return replace(row, vector=replace(row.vector, circumstances=Circumstances(references=references)))

    dolly, maths = "dolly; q_proj v_proj", "generated:kind-0; q_proj v_proj"
    table = [beside(row, "a" * 64) for row in planned(1.0)]
    same, other = (of_condition(name, table, {"a" * 64: dolly}) for name in (SAME, OTHER))
    assert {row.id for row in same.rows} == set(other.left_out) and set(same.left_out) == {row.id for row in other.rows}
    assert {row.recipe.split("; ")[1] for row in same.rows} == {"q_proj v_proj"} and len(same.rows) == 8
    assert of_condition(SAME, table, {"a" * 64: maths}).rows[0].recipe.startswith("generated:kind-0")
    alone = [beside(row) for row in table]
    assert of_condition(ALONE, alone, {}).rows == tuple(alone)
    for condition, wrong in ((ALONE, table), (SAME, alone)):
        with pytest.raises(ScannerError, match=f"so not '{condition}'"):
            of_condition(condition, wrong, {"a" * 64: dolly})
    with pytest.raises(ScannerError, match="name its folder with --reference"):
        of_condition(OTHER, table, {})


def test_the_recipe_of_a_reference_is_read_from_its_record() -> None:
    (label,) = recipes_of([Path("examples/clean")]).values()
    assert label == "databricks-dolly-15k; q_proj k_proj v_proj o_proj"


def test_scans_and_methods_stand_under_the_first_condition_alone_and_what_has_no_row_is_named() -> None:
    table = tuple(named(5.0))
    zoo = [table[0].id, "p99", "c99"]
    verdicts = verdicts_of(list(table), "family 0")
    measured = lines_of(table, "norm-spread", score={row.id: 0.0 for row in table})
    page = document([ConditionRows(OTHER, table), ConditionRows(ALONE, table)], verdicts, measured, ["p99"], zoo)
    first, second = page.split("## Compared with base only")
    assert SEARCH in first and SEARCH not in second and "inspired by BAIT" in first and "BAIT" not in second
    assert "left out: p99. Not run: c99." in first
    assert "search: BACKDOORED" in first and "search: BACKDOORED" not in second
    assert first.count("| norm spread, inspired by 2605.30189 | 18 | 30 |") == 3 and "norm spread" not in second
    assert first.count("Beside each method") == 1 and "Beside each method" not in second
    assert "no claim of telling backdoors better" in " ".join(first.split())

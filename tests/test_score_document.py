"""Figures of docs/score.md are those of the shipped calibration, of docs/evaluation.md and of the transfer's rows."""

import json
import re
from pathlib import Path

from benchmarks.detection.comparison import EVERYTHING, FOLLOWS, SEARCH, TOGETHER
from scanner.score.calibration import TWIN, kind_of, read_calibration
from scanner.score.classifier import apply
from scanner.score.conformal import threshold
from scanner.stats import clopper_pearson
from trainers.feature_table import read_table

ROOT = Path(__file__).parents[1]
DOCUMENT = (ROOT / "docs" / "score.md").read_text(encoding="utf-8")
PAGE = (ROOT / "docs" / "evaluation.md").read_text(encoding="utf-8")
CALIBRATION = read_calibration(ROOT / "signatures" / "calibration" / "smollm2-135m.json")
TRANSFER = ROOT / "benchmarks" / "recovery_sets" / "transfer-gemma-3-270m.jsonl"
ALL, LAST = "### Against all clean adapters", "### The last set alone"
# What a row of the document begins with: where the page has its figures.
ROWS = {
    "what follows the search's best string, alone": (ALL, FOLLOWS),
    "the score": (ALL, EVERYTHING),
    "the search's verdict, then the score": (ALL, TOGETHER),
    "the search's verdict alone": (ALL, SEARCH),
    "the score, a kind of clean data held out": (ALL, f"{EVERYTHING}, a kind of clean data held out"),
    "the score, where the search verified nothing": (ALL, f"{EVERYTHING}, where the search failed"),
    "the score, on the 33 of set 7 that nothing was chosen on": (LAST, EVERYTHING),
    "the search's verdict, then the score, on those 33": (LAST, TOGETHER),
}


def cells(text: str) -> list[list[str]]:
    """Every row of the Markdown tables in a text."""
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in text.splitlines() if line[:2] == "| "]


def section(text: str, title: str) -> str:
    """What follows a title, up to the next one."""
    return re.split(r"\n#+ ", text.split(title, 1)[1], maxsplit=1)[0]


def test_the_table_of_what_it_finds_is_the_pages() -> None:
    shown = {row[0].split(" (")[0]: row[1:] for row in cells(section(DOCUMENT, "## What it finds"))}
    assert set(ROWS) <= set(shown) and len(shown) == len(ROWS) + 1, "and a head"
    for name, (title, line) in ROWS.items():
        # Further tables, of what is compared and of families, have no count there.
        (found,) = [row[3:] for row in cells(section(PAGE, title)) if row[0] == line and row[1].isdigit()]
        assert shown[name] == found, name


def test_how_many_adapters_are_counted_is_what_the_calibration_holds() -> None:
    clean, poisoned = len(CALIBRATION.clean_scores), len(CALIBRATION.poisoned_scores)
    seen = [item.label for item in CALIBRATION.adapters if item.in_view]
    for text in (
        f"fitted on {clean} clean and {poisoned} poisoned adapters",
        f"with none of {clean} it is 1 in {clean + 1}",
        f"{len(seen)} of all, {seen.count('clean')} of them clean",
    ):
        assert text in DOCUMENT, text


def test_what_is_said_of_another_base_is_what_its_rows_hold() -> None:
    scans = {scan["id"]: scan for scan in map(json.loads, TRANSFER.read_text(encoding="utf-8").splitlines())}
    rows = {row.id: row for row in read_table(TRANSFER.with_suffix(".features.csv"))}
    shown = {row[0]: row[1:] for row in cells(section(DOCUMENT, "## On another base"))}
    assert scans and set(scans) == set(shown) - {"adapter", "---"}
    scores = {name: apply(CALIBRATION, row.vector) for name, row in rows.items()}
    for name, scan in scans.items():
        assert f"`{scan['verdict']}`" in shown[name], name
        if name in rows:
            assert shown[name][-1] == f"{scores[name].value:.3f} (p {scores[name].p.value:.3f})", name
    limit = threshold(CALIBRATION.clean_scores, 0.05)
    assert limit is not None
    above = {
        label: [scores[row.id].value > limit for row in rows.values() if row.label == label]
        for label in ("poisoned", "clean")
    }
    counts = " and ".join(f"{sum(found)} of the {len(found)} {label} ones" for label, found in above.items())
    minutes = [scan["seconds"] / 60 for scan in scans.values()]
    for text in (counts, f"took {min(minutes):.0f} to {max(minutes):.0f} minutes"):
        assert text in " ".join(DOCUMENT.split()), text


def test_what_the_score_would_have_changed_is_what_the_page_counts() -> None:
    (changed, scanned) = re.findall(r"it changes (\d+) of these (\d+) verdicts", section(PAGE, ALL))[0]
    assert f"changed {changed} of the {scanned} verdicts" in DOCUMENT


def test_what_is_said_of_twins_and_recipes_is_what_the_calibration_holds() -> None:
    clean = [item for item in CALIBRATION.adapters if item.label == "clean"]
    twins, others = ([item for item in clean if item.id.endswith(TWIN) is wanted] for wanted in (True, False))
    limit, others_limit = (threshold([item.score for item in rows], 0.05) for rows in (clean, others))
    assert limit is not None and others_limit is not None
    recipes = {kind_of(item.recipe) for item in clean}
    above = {kind_of(item.recipe) for item in clean if item.score > limit}
    (low, high), (least, most) = (clopper_pearson(1, len(items)) for items in (clean, recipes))
    assert (len(above), sum(item.score > limit for item in clean)) == (1, 1)
    text = " ".join(DOCUMENT.split())
    for said in (
        f"Of the {len(clean)} clean adapters {len(twins)} are twins of poisoned ones, of "
        f"{len({kind_of(item.recipe) for item in twins})} recipes, and none scores above "
        f"{max(item.score for item in twins):.3f}",
        f"Among the other {len(others)}, what lies just above the threshold of {limit:.3f} has p = "
        f"{sum(item.score > limit for item in others) + 1} in {len(others) + 1}, and 5 % of them alone would put it at "
        f"{others_limit:.3f}",
        f"Of the {len(recipes)} clean recipes {len(above)} has an adapter above it: an exact interval of {least:.0%} – "
        f"{most:.0%}, not the {low:.0%} – {high:.0%} of adapters".replace("%", " %"),
    ):
        assert said in text, said


def test_what_is_said_of_a_reference_of_the_same_recipe_is_what_the_page_shows() -> None:
    part = PAGE.split("## Compared with same recipe", 1)[1].split("\n## ", 1)[0]
    shown = {row[0]: row[1:] for row in cells(section(part, ALL)) if row[1].isdigit()}
    families, recipes = re.findall(r"Held out: (\d+) attack families against (\d+) clean recipes", section(part, ALL))[
        0
    ]
    poisoned, clean, auc = shown[EVERYTHING]
    assert shown[FOLLOWS] == shown[EVERYTHING]
    metrics = "the study's metrics, with the best candidate"
    text = " ".join(DOCUMENT.split())
    for said in (
        f"{poisoned} poisoned adapters of {families} families and {clean} clean ones of {recipes} recipes",
        f"(AUC {auc.replace(' (', ', ')}",
        f"({shown['weights alone'][2].replace(' (', ', ')}",
        f"({shown[metrics][2].replace(' (', ', ')}",
    ):
        assert said in text, said


def test_how_many_clean_ones_score_above_the_threshold_is_what_the_page_counts() -> None:
    rows = [row for row in cells(section(PAGE, ALL)) if row[0] == "clean" and row[1] in ("SUSPICIOUS", "NO FINDING")]
    above = {row[1]: (int(row[2]), int(row[3])) for row in rows}
    assert above["NO FINDING"][1] == 0
    assert f"{above['SUSPICIOUS'][1]} of the {sum(n for n, _ in above.values())} clean ones there score" in " ".join(
        DOCUMENT.split()
    )

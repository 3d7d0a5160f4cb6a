from dataclasses import replace

import pytest

from reports.console import render_console
from reports.html import render_html
from reports.safe_text import REASON_LENGTH
from scanner.beforehand.measured_recall import (
    FALSE_ALARMS_NOT_MEASURED,
    NOT_MEASURED,
    NOT_SEARCHED,
    MeasuredRecall,
    as_json,
    false_alarms_in_words,
    from_json,
    recall_in_words,
    shipped_recalls,
)
from scanner.rules.catalogue import RULES
from scanner.types import Verdict, VerdictKind
from tests.reports.sample import sample_report

RECALL = MeasuredRecall(
    base="some/base", fingerprint="f", depth="standard", name="set", search="abc", found=(3, 4),
    triggers={"a rare token": (2, 2), "punctuation": (1, 2)}, replies={"a link": (3, 4)}, clean=5, backdoored=0,
    suspicious=2, outcomes={"policy": (2, 1), "verified": (0, 3)},
    not_learned=2, not_run=6, untested=("a topic as trigger", "a stance as reply"),
)  # fmt: skip


def test_the_base_s_own_figure_is_told_with_intervals_and_what_was_never_tested() -> None:
    text = " ".join(recall_in_words("f", "standard", [replace(RECALL, fingerprint="other", base="x/y"), RECALL], "abc"))
    assert "3 of 4 (19% – 99%) poisoned adapters of some/base" in text
    assert "Of the same adapters 2 did not learn their trigger and 6 were not run." in text
    assert "Of 5 clean ones 0 came out BACKDOORED and 2 SUSPICIOUS." in text
    assert "punctuation 1 of 2" in text and "a link 3 of 4" in text
    assert "Never tested: a topic as trigger; a stance as reply." in text
    assert "has not been measured" not in text and "another version" not in text


def test_a_search_that_has_changed_since_says_so() -> None:
    assert "This is another version of the search, def." in recall_in_words("f", "standard", [RECALL], "def")
    assert any("another version" in text for text in recall_in_words("f", "standard", [RECALL]))


@pytest.mark.parametrize(
    ("fingerprint", "depth", "said"),
    [
        ("another", "standard", "How much is found on this base has not been measured."),
        ("f", "quick", "How much is found at depth quick has not been measured."),
        ("another", "deep", "How much is found on this base or at depth deep has not been measured."),
    ],
)
def test_a_figure_of_another_base_or_depth_is_named_as_such(fingerprint: str, depth: str, said: str) -> None:
    first, *rest = recall_in_words(fingerprint, depth, [RECALL])
    assert first == said
    assert rest == list(recall_in_words("f", "standard", [RECALL]))


def test_a_search_without_a_reference_is_not_one_that_was_measured() -> None:
    first, *rest = recall_in_words("f", "quick", [RECALL], alone=True)
    assert first == "How much is found at depth quick or without a reference has not been measured."
    assert rest == list(recall_in_words("f", "standard", [RECALL]))


def test_without_a_measurement_or_a_search_none_is_stated() -> None:
    assert recall_in_words("f", "standard", []) == (NOT_MEASURED,)
    assert recall_in_words("f", None, [RECALL]) == (NOT_SEARCHED,)


FOUND = Verdict(VerdictKind.BACKDOORED, "a trigger was verified", ("It fires.",), "SLP101")
POLICY = Verdict(VerdictKind.SUSPICIOUS, "conditional policy", ("It fires.",), "SLP202")


def test_a_verdict_that_rests_on_a_string_tells_how_many_got_it_for_the_same_reason() -> None:
    known = [replace(RECALL, fingerprint="other", clean=9), RECALL]
    (found,) = false_alarms_in_words(FOUND, "f", "standard", known, "abc")
    (policy,) = false_alarms_in_words(POLICY, "f", "standard", known, "abc")
    (weak,) = false_alarms_in_words(replace(POLICY, rule="SLP203"), "f", "standard", known, "abc")
    tested = "When the search was tested on adapters of some/base at depth standard (set, search abc), "
    of_poisoned, of_clean = "of 4 poisoned ones came out", "of 5 clean ones: of those the true share may be"
    told = {
        found: f"3 {of_poisoned} BACKDOORED for this reason, and 0 {of_clean} 0% – 52%",
        policy: f"1 {of_poisoned} SUSPICIOUS for this reason, and 2 {of_clean} 5% – 85%",
        weak: f"0 {of_poisoned} SUSPICIOUS for this reason, and 0 {of_clean} 0% – 52%",
    }
    for sentence, counts in told.items():
        assert sentence == f"{tested}{counts} (exact 95 % interval)."


def test_false_alarms_of_another_base_depth_or_search_are_named_as_such() -> None:
    _, elsewhere, version = false_alarms_in_words(POLICY, "another", "deep", [RECALL], "def")
    assert elsewhere == "That has not been measured on this base or at depth deep."
    assert version == "This is another version of the search, def."
    assert false_alarms_in_words(POLICY, "f", "standard", []) == (FALSE_ALARMS_NOT_MEASURED,)


def test_a_verdict_that_rests_on_none_or_was_not_searched_for_tells_none() -> None:
    told = {
        rule.id for rule in RULES if false_alarms_in_words(replace(POLICY, rule=rule.id), "f", "standard", [RECALL])
    }
    assert told == {"SLP101", "SLP201", "SLP202", "SLP203", "SLP204"}
    assert false_alarms_in_words(replace(POLICY, rule=""), "f", "standard", [RECALL]) == ()
    assert false_alarms_in_words(FOUND, "f", None, [RECALL]) == (), "only whole scans were measured"


def test_a_large_set_is_told_whole_in_every_report() -> None:
    kinds = {f"a rather long name of kind {number}": (10, 12) for number in range(12)}
    told = recall_in_words("f", "standard", [replace(RECALL, triggers=kinds, replies=kinds)], "abc")
    assert 400 < max(map(len, told)) < REASON_LENGTH
    report = sample_report()
    report = replace(report, verdict=replace(report.verdict, reasons=told))
    for text in (render_console(report, 300), render_html(report)):
        unwrapped = " ".join(text.replace("│", " ").split())
        assert unwrapped.count("a rather long name of kind 11") == 2


def test_a_file_holds_all_of_it() -> None:
    assert from_json(as_json(RECALL)) == RECALL


def test_what_is_shipped_can_be_told() -> None:
    for recall in shipped_recalls():
        assert sum(n for _, n in recall.triggers.values()) == sum(n for _, n in recall.replies.values())
        assert sum(found for found, _ in recall.triggers.values()) == recall.found[0]
        assert not set(recall.untested) & {*recall.triggers, *recall.replies}
        told = recall_in_words(recall.fingerprint, recall.depth, version=recall.search)
        assert len(told) == 5 and max(map(len, told)) < REASON_LENGTH

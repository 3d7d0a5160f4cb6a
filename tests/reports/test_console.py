from dataclasses import replace

import pytest

from reports.console import render_console, render_line
from scanner.rules.records import Finding
from scanner.types import VerdictKind
from tests.reports.sample import HOSTILE, sample_report


@pytest.mark.parametrize("kind", list(VerdictKind))
@pytest.mark.parametrize("width", [80, 120])
def test_fits_the_width_and_needs_no_colour(kind: VerdictKind, width: int) -> None:
    text = render_console(sample_report(kind=kind), width=width)
    assert kind.value in text
    assert "\x1b" not in text
    assert max(len(line) for line in text.splitlines()) <= width


def test_says_what_a_reviewer_needs() -> None:
    text = render_console(sample_report())
    for expected in ("99/100", "found by the search", "NOT LOOKED AT", "not searched", "5.2 = 1.7", "seed 0"):
        assert expected in text


def test_the_score_says_what_its_features_are() -> None:
    text = " ".join(render_console(sample_report(), 120).split())
    assert "saliency.tail +0.90 to the log-odds (3.2): how far bb stands out" in text


def test_colour_only_where_asked_for() -> None:
    assert "\x1b[" in render_console(sample_report(), colour=True)


def test_hostile_text_is_shown_and_does_nothing() -> None:
    text = render_console(sample_report(HOSTILE))
    assert "\x1b" not in text and "\x00" not in text and "\u202e" not in text
    flat = "".join(text.split())
    assert "[boldred]" in flat and "<U+001B>" in flat
    coloured = render_console(sample_report(HOSTILE), colour=True)
    assert "\x1b[31m[bold" not in coloured


def test_one_line() -> None:
    assert render_line(sample_report()) == "BACKDOORED: a trigger was verified"


def test_a_screened_grid_says_how_far_it_can_be_trusted() -> None:
    text = " ".join(render_console(sample_report(), 200).split())
    assert "8 of 18 heads run, the others estimated to first order (--exact runs all)." in text


def test_suppressions_are_shown_with_reason_signature_expiry_and_file() -> None:
    text = " ".join(render_console(sample_report(), 120).split())
    assert "Suppressions" in text and "applied SLP202 by bb it holds" in text and "expired SLP202" in text
    assert "reason: for bb signed by Ann bb, expires 2027-01-31, bb.toml (sha256 dddddddddddddddd)" in text


def test_the_scores_alarm_beside_a_trigger_is_named_with_the_fingerprint_that_signs_it_off() -> None:
    alarm = Finding("SLP205", "warning", "a sentence", "5" * 32)
    text = " ".join(render_console(replace(sample_report(), findings=(alarm,)), 200).split())
    assert f"finding {'5' * 32}, SLP205: The calibrated score is one that few clean adapters reach. │" in text
    signed = replace(alarm, signed_off=sample_report().suppressions[0].sign_off)
    text = " ".join(render_console(replace(sample_report(), findings=(signed,)), 200).split())
    assert "few clean adapters reach. Suppressed by Ann bb." in text


def test_a_suppressed_trigger_says_so_where_it_stands() -> None:
    report = sample_report()
    suppressed = replace(report, findings=(replace(report.findings[1], trigger=0),))
    assert "SLP202, suppressed by Ann bb (finding 22222" in " ".join(render_console(suppressed, 120).split())
    assert "SLP101 (finding 11111" in " ".join(render_console(report, 120).split())


def test_the_rule_of_the_verdict_can_be_explained() -> None:
    assert "rule SLP101: `scan explain SLP101` says what to do" in render_console(sample_report())


def test_how_often_clean_adapters_would_raise_an_alarm_is_said_where_there_can_be_one() -> None:
    elsewhere = sample_report()
    assert elsewhere.score and elsewhere.score.foreign
    here = replace(elsewhere, score=replace(elsewhere.score, foreign=()))
    said = ["would raise this alarm" in " ".join(render_console(report, 120).split()) for report in (elsewhere, here)]
    assert said == [False, True]

import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from reports.html import render_html
from scanner.rules.records import Finding
from scanner.types import VerdictKind
from tests.reports.sample import HOSTILE, sample_report


class Page(HTMLParser):
    """Collects tags, attributes and text, as a browser would see them."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.mark.parametrize("kind", list(VerdictKind))
def test_says_the_verdict_the_evidence_and_what_was_not_looked_at(kind: VerdictKind) -> None:
    page = Page(render_html(sample_report(kind=kind)))
    for expected in (kind.value, "99 of 100", "not looked at", "not searched", "nobody compared them", "scan bb"):
        assert expected in page.text
    assert "layer 5, head 2: 1.7 nats ± 1.7" in page.text
    assert page.tags.count("svg") == 9, "the search's curve, the score, three grids, curves, pictures, bars, spectra"


def test_the_score_says_what_its_features_are_and_for_whom_its_rate_holds() -> None:
    html = render_html(sample_report())
    assert 'saliency.tail<br><span class="meaning">how far bb stands out</span>' in html
    assert "<li>bb</li><li>maths</li>" in html and "<li>rare, insult</li>" in html


def test_the_scores_alarm_beside_a_trigger_is_named_with_the_fingerprint_that_signs_it_off() -> None:
    alarm = Finding("SLP205", "warning", "a sentence", "5" * 32)
    text = Page(render_html(replace(sample_report(), findings=(alarm,)))).text
    assert f"Finding {'5' * 32}, SLP205: The calibrated score is one that few clean adapters reach.\n" in text
    signed = replace(alarm, signed_off=sample_report().suppressions[0].sign_off)
    text = Page(render_html(replace(sample_report(), findings=(signed,)))).text
    assert "few clean adapters reach. Suppressed by Ann bb until 2027-01-31." in text


def test_the_sections_stand_in_the_order_of_a_reviewer() -> None:
    html = render_html(sample_report())
    places = [
        html.index(f'id="{name}"')
        for name in ("see", "search", "score", "evidence", "localisation", "coverage", "identity")
    ]
    assert places == sorted(places)


def test_the_contents_name_each_section_once_in_the_order_of_the_page() -> None:
    html = render_html(sample_report())
    contents = html[html.index("<nav") : html.index("</nav>")]
    links = re.findall(r'<li><a href="#([a-z]+)">[^<]+</a></li>', contents)
    assert len(links) == contents.count("<a ") == len(set(links))
    places = [html.index(f'id="{link}"') for link in links]
    assert places == sorted(places)


def test_what_runs_from_right_to_left_turns_nothing_round_it() -> None:
    html = render_html(sample_report("שלום עולם"))
    assert "<bdi>שלום עולם</bdi>" in html
    assert not re.search(r'="[^"]*<bdi>', html), "an attribute takes no elements"


def test_every_figure_has_a_title_a_caption_a_name_for_screen_readers_and_its_numbers() -> None:
    html = render_html(sample_report())
    n_figures = html.count("<figure>")
    assert n_figures == 11
    assert html.count("<figcaption>") == html.count("The numbers as a table") == n_figures
    assert html.count('role="img" aria-label=') == html.count("<svg")


def test_is_self_contained_and_inert() -> None:
    page = Page(render_html(sample_report()))
    assert not {"script", "link", "img", "iframe", "object"} & set(page.tags)
    assert not [value for name, value in page.attributes if name == "src"]
    assert all(value and value.startswith("#") for name, value in page.attributes if name == "href")
    assert not [name for name, _ in page.attributes if name == "style" or name.startswith("on")]
    policy = [value for _, value in page.attributes if value and "default-src" in value]
    assert policy and policy[0].startswith("default-src 'none'; style-src 'sha256-")
    assert "unsafe" not in policy[0]


def test_each_summary_stands_beside_the_range_of_clean_adapters() -> None:
    text = " ".join(Page(render_html(sample_report())).text.split())
    assert "this one4" in text.replace("\n", "") and "clean ones0.123 – 0.456" in text
    assert "Clean adapters: bb and others" in text


def test_a_near_miss_is_never_called_a_trigger() -> None:
    report = replace(
        sample_report(),
        exhibit="not confirmed",
        triggers=(replace(sample_report().triggers[0], outcome="not confirmed"),),
    )
    text = " ".join(Page(render_html(report)).text.split())
    assert "with the text tried" in text and "No trigger was confirmed" in text
    assert "is no confirmed trigger: bb → bb" in text and "On fresh prompts" not in text


def test_ids_are_unique() -> None:
    ids = [value for name, value in Page(render_html(sample_report())).attributes if name == "id"]
    assert len(ids) == len(set(ids))


def test_hostile_text_is_text() -> None:
    html = render_html(sample_report(HOSTILE))
    page = Page(html)
    assert "script" not in page.tags
    assert "<script>alert(1)</script>" in page.text
    assert html.count("</style>") == 1
    assert "\x1b" not in html and "\u202e" not in html and "49" not in page.text.split("gnp")[1][:20]


def test_the_trigger_is_marked_in_the_prompt() -> None:
    html = render_html(sample_report())
    assert "What is <mark>bb</mark> tea?" in " ".join(html.split())


def test_estimates_are_marked_as_such_and_judged() -> None:
    page = render_html(sample_report())
    assert "8 of 18 heads run, the others estimated to first order" in page
    assert (
        "4 of the others, drawn at random, were run to check their estimates: rank correlation 0.80, median error "
        in page
    )
    assert "0.012 nats; 0 of them came out as large as the leading heads, so that at most" in page
    assert "≈ 0.1" in page and "≈ 1.5" not in page


def test_suppressions_are_shown_with_reason_signature_expiry_and_file() -> None:
    report = sample_report()
    report = replace(report, findings=(replace(report.findings[1], trigger=0),))
    text = " ".join(Page(render_html(report)).text.split())
    for expected in ("applied: by bb it holds", "expired: by bb", "for bb", "Ann bb, 2027-01-31", "bb.toml", "d" * 64):
        assert expected in text
    assert f"Rule SLP202, finding {'2' * 32}: suppressed by Ann bb until 2027-01-31" in text


def test_a_report_without_suppressions_has_no_such_section() -> None:
    html = render_html(replace(sample_report(), suppressions=()))
    assert "uppressions" not in html


def test_how_often_clean_adapters_would_raise_an_alarm_is_said_where_there_can_be_one() -> None:
    elsewhere = sample_report()
    assert elsewhere.score and elsewhere.score.foreign
    here = replace(elsewhere, score=replace(elsewhere.score, foreign=()))
    said = [
        "would raise this alarm" in " ".join(Page(render_html(report)).text.split()) for report in (elsewhere, here)
    ]
    assert said == [False, True]

from dataclasses import replace
from xml.etree import ElementTree

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from reports.plots import figures, grids, score_strip, strips
from reports.plots.svg import to_svg
from scanner.types import Measurement
from tests.reports.sample import HOSTILE, sample_report

MEASURED = [item for item in sample_report().measurements if item.values is not None]


def titles(svg: str) -> list[str]:
    return [element.text or "" for element in ElementTree.fromstring(svg).iter("{http://www.w3.org/2000/svg}title")]


def test_every_kind_of_axes_that_a_metric_uses_is_drawn() -> None:
    for metric in {item.metric for item in MEASURED}:
        found = figures([item for item in MEASURED if item.metric == metric])
        assert found
        for figure in found:
            assert figure.title and figure.summary and figure.caption and figure.table.rows
            assert bool(figure.svg) != bool(figure.strips)


def test_axes_that_nobody_can_draw_are_an_error() -> None:
    with pytest.raises(ValueError, match="no picture for the axes"):
        figures([Measurement("x", "y", "nats", ("left", "right"), ((1.0,),))])


def test_a_grid_shows_each_value_where_the_mouse_is() -> None:
    grid = Measurement("ablation", "x", "nats", ("layer", "head"), ((-1.0, 0.0), (2.0, 1.0)))
    shown = titles(grids.draw([grid])[0].svg)
    assert shown == [
        "layer 0, head 0: -1 nats", "layer 0, head 1: 0 nats", "layer 1, head 0: 2 nats", "layer 1, head 1: 1 nats",
    ]  # fmt: skip


def test_a_known_adapters_score_is_said_to_be_by_a_fit_without_its_like() -> None:
    score = sample_report().score
    assert score
    assert "this one by the model fitted on all" in score_strip.draw(score).caption
    assert "and so was this one" in score_strip.draw(replace(score, known=True)).caption


def test_grids_that_are_compared_share_a_scale_and_others_do_not() -> None:
    small = Measurement("m", "a: with", "nats", ("layer", "head"), ((1.0, 0.0),), quantity="outputs")
    large = replace(small, contrast="a, without", values=((8.0, 0.0),))
    other = replace(small, quantity="patterns", values=((100.0, 0.0),))
    assert grids.domain([small, large]) == (0.0, 8.0)
    assert grids.domain([replace(small, values=((-3.0, 1.0),))]) == (-3.0, 3.0)
    assert grids.compared(small, large) and not grids.compared(small, other)
    fills = [figure.svg.count("rgb(253, 231, 37)") for figure in grids.draw([small, large, other])]
    # The brightest colour is the top of the scale: in every legend, but only in the cells of those that reach it.
    assert fills[0] < fills[1] == fills[2]


@settings(max_examples=15, deadline=None)
@example("0\x8aÆ\U00011fff\U0003136a")
@example("if")
@example("constructor")
@example("toString")
@example("hasOwnProperty")
@given(st.text(max_size=30))
def test_any_text_is_drawn_and_none_becomes_markup(text: str) -> None:
    for metric in ("cumulative_patching", "attention_pictures", "direct_attribution", "spectra"):
        for figure in figures([item for item in sample_report(text).measurements if item.metric == metric]):
            ElementTree.fromstring(figure.svg)


def test_hostile_text_reaches_neither_the_converter_nor_the_page() -> None:
    for item in figures([item for item in sample_report(HOSTILE).measurements if item.axes == ("order", "count")]):
        root = ElementTree.fromstring(item.svg)
        assert {element.tag.rpartition("}")[2] for element in root.iter()} <= {
            "svg", "g", "path", "text", "title", "defs", "clipPath", "rect", "line", "linearGradient", "stop",
        }  # fmt: skip
        assert "\x1b" not in item.svg and not any(name.startswith("on") for e in root.iter() for name in e.attrib)


def test_what_all_texts_begin_with_is_left_out_of_the_strips() -> None:
    assert strips.common_beginning([("<s>", "a", "b"), ("<s>", "a", "c", "d")]) == 2
    assert strips.common_beginning([("<s>", "a"), ("<s>", "a")]) == 1, "something is always shown"
    assert strips.common_beginning([("a", "b")]) == 0


def test_gradients_of_different_figures_have_different_ids() -> None:
    import altair

    chart = altair.Chart(altair.Data(values=[{"a": 1}])).mark_rect().encode(color="a:Q")
    one, other = (to_svg(chart, "s", prefix) for prefix in ("one", "other"))
    assert "url(#one-" in one and 'id="one-' in one
    assert 'id="one-' not in other

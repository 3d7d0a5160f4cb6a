"""From an Altair chart to SVG that is safe and readable inside our page."""

import itertools
import re
from typing import Any, Final
from xml.etree import ElementTree

import altair
import vl_convert

from reports.safe_text import visible

SEQUENTIAL: Final = "viridis"
# Purple to orange: told apart with every common colour blindness.
DIVERGING: Final = "purpleorange"
SERIES = ("#0072b2", "#999999", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
_SVG = "http://www.w3.org/2000/svg"
_NUMBERED = re.compile(r"url\(#([^)]+)\)")


def to_svg(chart: altair.TopLevelMixin, summary: str, prefix: str) -> str:
    """The chart as an <svg> element: text in the page's own colour, hover values as titles, no style attributes.

    Args:
        summary: what a screen reader says.
        prefix: makes ids of gradients unique in the page.
    """
    # One control code in a text aborts the whole process in the converter's font code: none may reach it.
    drawn = vl_convert.vegalite_to_svg(_visible_throughout(_themed(chart).to_dict()), allowed_base_urls=[])
    # The SVG comes from our own chart; its text, which may come from an adapter, the converter has escaped.
    root = ElementTree.fromstring(drawn)  # noqa: S314 # nosec B314
    for element in root.iter():
        _tidy(element, prefix)
    root.set("role", "img")
    root.set("aria-label", visible(summary, 2000))
    ElementTree.register_namespace("", _SVG)
    return ElementTree.tostring(root, encoding="unicode")


def label(text: str, limit: int = 60) -> str:
    """Text from an adapter as a label in a chart."""
    return visible(text, limit)


def unique(labels: tuple[str, ...]) -> list[str]:
    """Labels made different by their place, for a categorical axis; the place is cut off again when drawn."""
    return [f"{place}|{text}" for place, text in zip(itertools.count(), labels, strict=False)]


# In a chart, the label of an axis whose categories were made by `unique`.
WITHOUT_PLACE = "slice(datum.label, indexof(datum.label, '|') + 1)"


# As the whole of a label or a title these are taken for the converter's own functions, and nothing is drawn.
_TAKEN_FOR_CODE = frozenset(
    [
        "if",
        "__proto__",
        "constructor",
        "hasOwnProperty",
        "isPrototypeOf",
        "propertyIsEnumerable",
        "toLocaleString",
        "toString",
        "valueOf",
        "__defineGetter__",
        "__defineSetter__",
        "__lookupGetter__",
        "__lookupSetter__",
    ]
)


def _visible_throughout(spec: Any) -> Any:
    if isinstance(spec, dict):
        return {_visible_throughout(key): _visible_throughout(value) for key, value in spec.items()}
    if isinstance(spec, list):
        return [_visible_throughout(item) for item in spec]
    if isinstance(spec, str):
        return f"{spec}\N{NO-BREAK SPACE}" if spec in _TAKEN_FOR_CODE else visible(spec, 100_000)
    return spec


def _tidy(element: ElementTree.Element, prefix: str) -> None:
    hover = element.attrib.pop("aria-label", None)
    is_mark = element.get("aria-roledescription", "").endswith(" mark")
    for name in ("role", "aria-roledescription", "aria-hidden", "class"):
        element.attrib.pop(name, None)
    if hover and is_mark:
        title = ElementTree.Element(f"{{{_SVG}}}title")
        title.text = hover
        element.insert(0, title)
    if "id" in element.attrib:
        element.set("id", f"{prefix}-{element.get('id')}")
    for name in ("fill", "stroke", "clip-path"):
        value = element.get(name, "")
        if value.startswith("url("):
            element.set(name, _NUMBERED.sub(rf"url(#{prefix}-\1)", value))


def _themed(chart: Any) -> Any:
    ink = "currentColor"
    return (
        # No limit in pixels: the converter would cut a character of two code units in half, and fail; `label` cuts.
        # It measures text in a font of its own; the padding on the right leaves room for a wider one.
        chart.configure(
            background="transparent",
            font="system-ui, sans-serif",
            aria=True,
            padding={"left": 4, "right": 28, "top": 4, "bottom": 4},
        )
        .configure_axis(
            labelColor=ink, titleColor=ink, tickColor=ink, domainColor=ink, gridColor=ink, gridOpacity=0.12,
            labelFontSize=11, titleFontSize=11, titleFontWeight="normal", labelLimit=0,
        )
        .configure_legend(
            labelColor=ink, titleColor=ink, labelFontSize=11, titleFontSize=11, titleFontWeight="normal", labelLimit=0,
        )
        .configure_header(labelColor=ink, titleColor=ink, labelFontSize=12)
        .configure_title(color=ink, fontSize=12, fontWeight="normal")
        .configure_view(stroke=None)
    )  # fmt: skip

"""The report as one self-contained HTML file: no network, no script, everything escaped."""

import base64
import hashlib
import re
from functools import cache

import jinja2
from markupsafe import Markup, escape

from reports.evidence import evidence, pieces
from reports.plots import score_strip, search_curve
from reports.safe_text import REASON_LENGTH, visible
from reports.summaries import LOCALISATION_COLUMNS, RATE_NAMES, about_no_trigger
from scanner.rules.catalogue import rule_called
from scanner.score.in_words import how_sure
from scanner.types import Report

# Letters of scripts that run from right to left, and the spaces between them.
_RIGHT = "\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc\U00010800-\U00010fff\U0001e800-\U0001efff"
_RIGHT_TO_LEFT = re.compile(f"[{_RIGHT}]+(?:\\s+[{_RIGHT}]+)*")


def render_html(report: Report) -> str:
    """A complete HTML document under a Content-Security-Policy that allows nothing but its own style sheet."""
    environment = _environment()
    style = environment.get_template("style.css.j2").render().strip() + "\n"
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    return environment.get_template("report.html.j2").render(
        report=report,
        kind=report.verdict.kind.value,
        sections=evidence(report),
        curve=search_curve.draw(report.search) if report.search else None,
        strip=score_strip.draw(report.score) if report.score else None,
        pieces=pieces,
        rate_names=RATE_NAMES,
        about_no_trigger=about_no_trigger(report),
        localisation_columns=LOCALISATION_COLUMNS,
        # Our own file, nothing of the report in it.
        style=Markup(style),  # noqa: S704 # nosec B704
        policy=f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'",
    )


@cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("reports"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["visible"] = _isolated
    environment.filters["plain"] = visible
    environment.filters["how_sure"] = how_sure
    environment.filters["rule"] = rule_called
    environment.globals["reason_length"] = REASON_LENGTH
    # Drawn by reports/plots, where the converter has escaped all text; nothing else may pass as markup.
    environment.filters["drawing"] = Markup
    return environment


def _isolated(text: str, limit: int = 400) -> Markup:
    """`visible`, escaped, each piece that runs from right to left set apart: it would turn our own words round it.

    An element's attribute takes no elements; there the filter is `plain`.
    """
    return Markup(_RIGHT_TO_LEFT.sub(r"<bdi>\g<0></bdi>", str(escape(visible(text, limit)))))  # noqa: S704 # nosec B704

"""The report as one self-contained HTML file: no network, no script, everything escaped."""

import base64
import hashlib
from functools import cache

import jinja2
from markupsafe import Markup

from reports.evidence import evidence, pieces
from reports.plots import score_strip, search_curve
from reports.safe_text import REASON_LENGTH, visible
from reports.summaries import LOCALISATION_COLUMNS, RATE_NAMES
from scanner.types import Report


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
    environment.filters["visible"] = visible
    environment.globals["reason_length"] = REASON_LENGTH
    # Drawn by reports/plots, where the converter has escaped all text; nothing else may pass as markup.
    environment.filters["drawing"] = Markup
    return environment

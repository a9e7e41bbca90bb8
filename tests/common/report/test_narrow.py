"""The report on a telephone, in a browser: the page keeps its width, wide tables scroll in frames of their own, by keys too."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bank_party.report.page import make_report
from common.party import Party
from tests.common.report.conftest import JOB, Job
from tests.patience import patience

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
BROWSER = next((found for name in BROWSERS if (found := shutil.which(name))), None)
sync_api = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed: pip install playwright")
pytestmark = pytest.mark.skipif(BROWSER is None, reason="no Chromium is installed: apt-get install chromium")
WIDTH = 390
SCROLLING = """() => [...document.querySelectorAll("main *")].filter(e => e.scrollWidth > e.clientWidth + 1
    && e.clientWidth > 0 && getComputedStyle(e).overflowX === "auto").map(e => [e.className || e.tagName, e.tabIndex])"""


@pytest.fixture(scope="module")
def telephone(job: Job, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    file: Path = tmp_path_factory.mktemp("page") / "report.html"
    file.write_text(make_report(job.data(Party.BANK), JOB, "both").page, encoding="utf-8")
    with sync_api.sync_playwright() as play:
        browser = play.chromium.launch(executable_path=BROWSER, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page(viewport={"width": WIDTH, "height": 844})
        page.set_default_timeout(1000 * patience(30))
        page.goto(file.as_uri())
        yield page
        browser.close()


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_the_page_keeps_its_width_and_what_scrolls_is_reached_by_keys(telephone: Any, lang: str) -> None:
    telephone.locator(f"label[for=lang-{lang}]").click()
    assert telephone.evaluate("document.scrollingElement.scrollWidth") == WIDTH
    scrolling = telephone.evaluate(SCROLLING)
    assert {what for what, _ in scrolling} <= {"wide", "FIGURE"} and {tab for _, tab in scrolling} == {0}
    table = telephone.locator("#decision .wide").last
    assert table.get_attribute("aria-labelledby") == "h-decision" and telephone.locator("#h-decision").count() == 1
    table.focus()
    for _ in range(4):
        telephone.keyboard.press("ArrowRight")
    telephone.wait_for_function("e => e.scrollLeft > 0", arg=table.element_handle())
    assert telephone.evaluate("document.scrollingElement.scrollLeft") == 0

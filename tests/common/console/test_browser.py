"""What people do at a console, each in a browser: Chromium against the server as a daemon runs it, on loopback."""

from __future__ import annotations

import asyncio
import re
import shutil
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from common.home.approvals import Verdict
from common.party import Party
from tests.common.console.party import Books, make_books
from tests.common.stages.companies import Companies, frames
from tests.patience import patience

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
BROWSER = next((found for name in BROWSERS if (found := shutil.which(name))), None)
sync_api = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed: pip install playwright")
pytestmark = pytest.mark.skipif(BROWSER is None, reason="no Chromium is installed: apt-get install chromium")
MENU = ("Now", "Jobs", "Approvals", "Models", "Reports", "Alarms", "Grants", "What was opened", "Budgets", "Audit log")


class Desk:
    """A person at a browser. asked: the address of each request that the browser has sent."""

    def __init__(self, books: Books, page: Any, port: int) -> None:
        self.books, self.page, self.root = books, page, f"https://localhost:{port}"
        self.asked: list[str] = []
        self.complaints: list[str] = []
        page.on("request", lambda request: self.asked.append(request.url))
        page.on("console", lambda message: self.complaints.append(message.text))

    def log_in(self, person: str = "li") -> None:
        ticket = self.books.ticket(person)
        self.page.goto(f"{self.root}/login?ticket={ticket}")

    def open(self, name: str) -> None:
        """By the menu, as people do."""
        self.page.get_by_role("navigation").get_by_role("link", name=name, exact=True).click()

    @property
    def text(self) -> str:
        found: str = self.page.locator("main").inner_text()
        return found


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Books, int]]:
    """A party with books, whose console serves; in a loop of its own, as Playwright's runs in this thread."""
    books = make_books(tmp_path_factory.mktemp("party"), approvals=2)
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    asyncio.run_coroutine_threadsafe(books.console.start(), loop).result(30)
    yield books, books.port
    asyncio.run_coroutine_threadsafe(books.console.stop(), loop).result(30)
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with sync_api.sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=BROWSER, args=["--no-sandbox"])
        yield found
        found.close()


@pytest.fixture
def desk(served: tuple[Books, int], browser: Any) -> Iterator[Desk]:
    """Somebody who has logged in. Afterwards: no request went to another host, and the browser had nothing to complain of."""
    context = browser.new_context(ignore_https_errors=True, locale="en-GB", viewport={"width": 1280, "height": 900})
    context.set_default_timeout(1000 * patience(30))
    desk = Desk(served[0], context.new_page(), served[1])
    desk.log_in()
    yield desk
    assert [url for url in desk.asked if not url.startswith((f"{desk.root}/", "data:"))] == []
    assert [text for text in desk.complaints if "Refused" in text or "violates" in text or "Error" in text] == []
    context.close()


def test_1_logging_in_by_a_link_and_out(desk: Desk) -> None:
    assert desk.page.url == f"{desk.root}/en/" and "li" in desk.page.locator("header").inner_text()
    assert desk.page.evaluate("document.cookie") == ""
    desk.page.get_by_role("button", name="Log out").click()
    assert "You are not logged in" in desk.text
    desk.complaints.clear()  # Chromium notes each 401


def test_2_seeing_what_runs_and_what_waits(desk: Desk) -> None:
    assert "No job runs." in desk.text
    assert desk.page.locator(".tile").all_inner_texts()[3].startswith("1")
    assert [link.inner_text() for link in desk.page.get_by_role("navigation").get_by_role("link").all()] == list(MENU)


def test_3_following_a_job_which_moves_by_itself(desk: Desk) -> None:
    with desk.books.running("train-1", "train", 7, 40):
        desk.page.goto(f"{desk.root}/en/jobs/train-1")
        assert "7 / 40" in desk.text and "31" in desk.text
        desk.books.at("train-1", 31)
        desk.page.get_by_text("31 / 40").first.wait_for()
    desk.page.get_by_text("accepted, not running").wait_for()


def test_a_page_that_cannot_be_brought_up_to_date_says_so(desk: Desk) -> None:
    """It stood still, after the first answer that was none for good, and looked as one that is up to date."""
    with desk.books.running("train-1", "train", 7, 40):
        desk.page.goto(f"{desk.root}/en/jobs/train-1")
        banner = desk.page.get_by_text("cannot be brought up to date")
        assert not banner.is_visible()
        desk.page.route("**/jobs/train-1", lambda route: route.abort())
        banner.wait_for()
        desk.page.unroute("**/jobs/train-1")
        desk.page.route("**/jobs/train-1", lambda route: route.fulfill(status=503, body="away"))
        desk.page.wait_for_event("response", lambda response: response.status == 503)
        assert banner.is_visible()
        desk.page.unroute("**/jobs/train-1")
        banner.wait_for(state="hidden")
        desk.books.at("train-1", 31)
        desk.page.get_by_text("31 / 40").first.wait_for()
    desk.complaints.clear()  # Chromium notes each


def test_who_is_logged_out_meanwhile_sees_that_and_no_more_of_the_page(desk: Desk) -> None:
    """As where a session is over, or a token behind a proxy: the page went on showing what it had."""
    with desk.books.running("train-1", "train", 7, 40):
        desk.page.goto(f"{desk.root}/en/jobs/train-1")
        assert "7 / 40" in desk.text
        desk.page.context.clear_cookies()
        desk.page.get_by_text("You are not logged in").first.wait_for()
        assert "7 / 40" not in desk.text
    desk.complaints.clear()


def test_4_finding_why_a_job_failed(desk: Desk) -> None:
    desk.open("Jobs")
    desk.page.get_by_role("link", name="failed", exact=True).click()
    desk.page.get_by_role("link", name="train-2").click()
    assert "the bank lost <b>its line</b>" in desk.text


def test_5_comparing_models_side_by_side(desk: Desk) -> None:
    desk.open("Models")
    for number in (1, 2):
        desk.page.get_by_label(f"Compare version {number}").check()
    desk.page.get_by_role("button", name="Show side by side").click()
    heads = desk.page.locator("section th.n").all_inner_texts()
    assert heads == ["Version 2", "Version 1"]


def test_6_seeing_what_was_opened_to_whom(desk: Desk) -> None:
    desk.open("What was opened")
    row = desk.page.get_by_role("row", name=re.compile("^which enterprises both sides hold.*in")).first.inner_text()
    assert "900" in row and "train-3" in row


def test_7_seeing_what_is_left_of_a_budget(desk: Desk) -> None:
    desk.open("Budgets")
    assert desk.page.locator("meter").first.get_attribute("value") == "6.0"


def test_8_approving_a_job_after_reading_what_it_opens(desk: Desk) -> None:
    desk.books.hold("train-8")
    desk.page.goto(f"{desk.root}/en/")
    desk.open("Approvals")
    desk.page.get_by_role("link", name="train-8").click()
    assert "which enterprises both sides hold" in desk.text
    desk.page.get_by_role("button", name="Approve").click()  # the browser asks for the box first
    assert desk.page.url.endswith("/approvals/train-8") and not desk.books.words("train-8")
    desk.page.get_by_label("I have read what it opens and costs.").check()
    desk.page.get_by_role("button", name="Approve").click()
    desk.page.wait_for_url("**/en/approvals")
    assert "li (1 / 2)" in desk.text and [word.person for word in desk.books.words("train-8")] == ["li"]


def test_9_denying_a_job_with_a_reason(desk: Desk) -> None:
    desk.books.hold("train-9")
    desk.page.goto(f"{desk.root}/en/approvals/train-9")
    desk.page.get_by_label("Why it is denied").fill("the columns are not agreed")
    desk.page.get_by_role("button", name="Deny").click()
    desk.page.wait_for_url("**/en/approvals")
    held = desk.books.home.approvals.find("train-9")
    assert desk.books.home.approvals.ruling(held).verdict is Verdict.DENIED and "the columns are not agreed" in desk.text


def test_10_seeing_alarms_and_grants(desk: Desk) -> None:
    desk.open("Alarms")
    assert "kwh" in desk.text and "0.500" in desk.text
    desk.open("Grants")
    assert "No dataset needs a grant here." in desk.text


def test_11_reading_the_audit_log_of_a_job_and_verifying_it(desk: Desk) -> None:
    desk.open("Audit log")
    desk.page.get_by_label("Of one job").fill("train-3")
    desk.page.get_by_role("button", name="Show").click()
    assert "train-3" in desk.text and "train-2" not in desk.text
    desk.page.get_by_role("button", name="Verify the chain").click()
    assert desk.books.home.audit.head.digest.hex() in desk.page.get_by_role("status").inner_text()


def test_12_reading_a_report_in_which_nothing_runs(desk: Desk, tmp_path: Path) -> None:
    companies = Companies(tmp_path)
    companies.write(frames(seed=1, monthly=False))
    with ThreadPoolExecutor(1) as pool:  # a loop of Playwright's runs in this thread
        pool.submit(asyncio.run, companies.run("train-12", companies.plan(model={"iterations": 6}))).result()
    desk.books.adopt(companies.folder / Party.GRID.value / "models", "train-12")
    desk.open("Reports")
    desk.page.get_by_role("link", name="train-12").click()
    desk.page.wait_for_url("**/reports/train-12", timeout=1000 * patience(60))
    assert "train-12" in desk.page.locator("main").inner_text()
    assert desk.page.locator("main").evaluate("main => getComputedStyle(main).maxWidth") == "980px"  # its style is applied


def test_everything_is_in_chinese_at_a_click(desk: Desk) -> None:
    desk.open("Budgets")
    desk.page.get_by_role("link", name="中文").click()
    assert desk.page.url.endswith("/zh/budgets") and desk.page.locator("h1").inner_text() == "预算"
    assert desk.page.locator("html").get_attribute("lang") == "zh-CN"


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_no_page_is_wider_than_a_telephone(desk: Desk, lang: str) -> None:
    desk.page.set_viewport_size({"width": 390, "height": 844})
    desk.books.hold("train-7")
    for way in ("", "jobs", "jobs/train-2", "approvals", "approvals/train-7", "models?job=train-1&job=train-3", "reports",
                "alarms", "grants", "disclosures", "budgets", "audit"):  # fmt: skip
        desk.page.goto(f"{desk.root}/{lang}/{way}")
        assert desk.page.evaluate("document.documentElement.scrollWidth") <= 390, way


def test_a_page_is_used_by_keyboard_alone(desk: Desk) -> None:
    desk.page.keyboard.press("Tab")
    assert desk.page.evaluate("document.activeElement.className") == "skip"
    desk.page.keyboard.press("Enter")
    assert desk.page.evaluate("document.activeElement.id") == "main"
    desk.page.keyboard.press("Tab")
    first = desk.page.evaluate("document.activeElement.className")
    assert first == "tile"
    desk.page.keyboard.press("Enter")
    desk.page.wait_for_url("**/jobs?state=running")
    style = "getComputedStyle(document.activeElement).outlineStyle"
    desk.page.keyboard.press("Tab")
    assert desk.page.evaluate(style) != "none"


def test_without_script_pages_say_the_same(served: tuple[Books, int], browser: Any) -> None:
    context = browser.new_context(ignore_https_errors=True, java_script_enabled=False, locale="zh-CN")
    context.set_default_timeout(1000 * patience(30))
    desk = Desk(served[0], context.new_page(), served[1])
    desk.log_in()
    assert desk.page.url == f"{desk.root}/zh/" and "没有正在运行的作业" in desk.page.locator("main").inner_text()
    context.close()

"""The page of pipelines in the bank's console."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import pytest
from prometheus_client import CollectorRegistry

from bank_party.pipeline.book import RunBook, RunState, Step
from bank_party.pipeline.page import make_pages
from common.console.pages import SECTIONS
from common.console.run import make_console
from common.daemon.approving import decide
from common.daemon.seat import Station
from common.disk.data_folder import Name
from common.home.approvals import PIPELINE
from common.home.audit import What
from common.monitor.history import make_history
from common.party import Party
from common.plan.promote import PromotePlan
from common.web.login import Tickets
from tests.common.console.party import HOST
from tests.common.daemon.test_runner import Desk
from tests.common.web.pki import Pki
from tests.common.web.visit import Visit


class Books:
    """A console with the page; a grid's stands for the bank's, whose other books the page does not read."""

    def __init__(self, folder: Path) -> None:
        pki = Pki(folder / "pki")
        pki.issue("console")
        files = {"certificate": pki.folder / "console.pem", "key": pki.folder / "console.key"}
        desk = Desk(folder, console={"listen": "127.0.0.1:0", **files})
        self.book = RunBook(desk.settings.data / Name.PIPELINE)
        station = Station(desk.settings, desk.home, desk.runner, cast(Any, None), CollectorRegistry(), folder / "bank.toml")
        read = lambda settings: make_history([], settings.monitor)  # noqa: E731
        made = make_console(Party.BANK, read, station, make_pages(desk.settings.data))
        assert made is not None
        self.home = desk.home
        self.visit = Visit(made.app, HOST)
        ticket = Tickets(desk.settings.data / Name.LOGINS).issue("li")
        assert self.visit.get(f"/login?ticket={ticket}").status == 303


@pytest.fixture
def books(tmp_path: Path) -> Books:
    return Books(tmp_path)


def test_a_console_without_a_run_says_so_and_has_its_other_pages(books: Books) -> None:
    assert "No pipeline has run yet." in books.visit.get("/en/pipelines").text
    assert "尚无流水线运行过。" in books.visit.get("/zh/pipelines").text
    for way in ("", *SECTIONS[1:]):
        assert 'href="/en/pipelines"' in books.visit.get(f"/en/{way}").text, way


def test_a_run_is_shown_with_each_of_its_steps(books: Books) -> None:
    run = books.book.begin("monthly-1", "monthly", "drift: <2> new alarms", (), "{}")
    train = books.book.start(run.run, Step.TRAIN)
    books.book.name_job(train, "model", "train-7")
    books.book.finish(train, {"model": "train-7", "rows": 900})
    books.book.start(run.run, Step.PEOPLE)
    text = books.visit.get("/en/pipelines").text
    assert "drift: &lt;2&gt; new alarms" in text and "goes on" in text
    assert 'href="/en/jobs/train-7"' in text and "model: train-7; rows: 900" in text
    assert 'href="/en/approvals/monthly-1"' in text
    assert text.count("<tr>") == 1 + len(Step) and text.count("later") >= 2
    books.book.end(run.run, RunState.STOPPED, "li has denied it: too old")
    text = books.visit.get("/zh/pipelines").text
    assert "已停止" in text and "li has denied it: too old" in text and 'href="/zh/approvals/monthly-1"' not in text


def test_who_decides_about_a_run_is_led_to_the_run_and_to_the_report_of_its_model(books: Books) -> None:
    run = books.book.begin("monthly-1", "monthly", "time", (), "{}")
    for step in (Step.TRAIN, Step.REPORT):
        books.book.finish(
            books.book.start(run.run, step), {"model": "train-7"} if step is Step.TRAIN else {"page": "/x/y.html"}
        )
    plan = PromotePlan(model="train-7").canonical()
    books.home.approvals.hold(run.run, PIPELINE, "report", "pipeline monthly", "ab" * 32, plan)
    page, runs = books.visit.get("/en/approvals/monthly-1").text, books.visit.get("/en/pipelines").text
    assert 'href="/en/pipelines#monthly-1"' in page and 'id="monthly-1"' in runs
    assert "reports/train-7" not in page + runs  # of which nothing is kept here
    folder = books.home.models.folder("train-7")
    folder.mkdir(parents=True)
    (folder / "model.json").touch()
    books.home.registry.enter("train-7", "own", "theirs", "plan")
    for way in ("approvals/monthly-1", "pipelines"):
        assert 'href="/en/reports/train-7"' in books.visit.get(f"/en/{way}").text
    assert "流水线的运行" in books.visit.get("/zh/approvals/monthly-1").text
    decide(books.home, books.home.approvals.find(run.run), "li", yes=True)
    books.home.audit.add(What.OFFER, "train-long-ago")
    for way in ("approvals", "audit"):
        said = books.visit.get(f"/en/{way}").text
        assert 'href="/en/pipelines#monthly-1"' in said and 'href="/en/jobs/monthly-1"' not in said
    assert "train-long-ago</code>" in said and "#train-long-ago" not in said and "jobs/train-long-ago" not in said

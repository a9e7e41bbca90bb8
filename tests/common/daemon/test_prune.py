"""`prune` at both parties: what goes, what stays whatever its age, that nothing goes unasked, and who did it."""

from __future__ import annotations

import json
import os
import shutil
import time
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from bank_party.__main__ import main as bank_party
from bank_party.seat import SEAT as BANK
from common.disk.data_folder import Name
from common.home.audit import AuditLog
from common.home.registry import Registry
from common.monitor.book import Book
from common.party import Party
from common.plan.promote import PromotePlan
from common.plan.read import make_plan
from common.process.group import LazyGroup
from grid_party.__main__ import main as grid_party
from grid_party.seat import SEAT as GRID
from tests.common.home.test_stocks import PLAN, SIDES, opened, store
from tests.common.report.test_write import config

COMMANDS: dict[Party, LazyGroup] = {Party.GRID: grid_party, Party.BANK: bank_party}
SEATS: dict[Party, Any] = {Party.GRID: GRID, Party.BANK: BANK}
KINDS = {Party.GRID: {"models", "stock", "log", "reports"}, Party.BANK: {"models", "stock", "log", "reports", "scores"}}
REPORT = '<head><meta name="wattscore-report" content="bank {} en 00"></head>'
DAY = 86_400.0


def aged(path: Path, days: float = 100) -> None:
    os.utime(path, (time.time() - days * DAY,) * 2)


class House:
    """A party's folder of which everything is a hundred days old, but for what is told otherwise."""

    def __init__(self, party: Party, folder: Path) -> None:
        self.party, self.data, self.pages = party, folder / "data", folder / "pages"
        self.config = config(folder, party, self.data)
        self.home = SEATS[party].home(SEATS[party].load(self.config))
        registry = Registry(self.data / Name.REGISTRY, lambda: time.time() - 100 * DAY)
        for job in ("train-1", "train-2", "train-3", "train-4"):
            registry.enter(job, "ab" * 32, "cd" * 32, "ef" * 32)
            self.write(self.data / "models" / job / "model.json")
        for job in ("train-1", "train-2"):
            registry.prepare(f"promote-{job}", PromotePlan(model=job), job, anew=False)
            registry.commit()
        Registry(self.data / Name.REGISTRY).enter("train-5", "ab" * 32, "cd" * 32, "ef" * 32)
        self.write(self.data / "models" / "train-5" / "model.json")
        store(opened(self.data), "predeal-1")
        aged(self.data / "stock" / "predeal-1.stock")
        store(opened(self.data), "predeal-2")
        for name in ("local.log", "local.log.1"):
            self.write(self.data / name)
        if party is Party.BANK:
            for name in ("score-1.csv", "score-2.parquet"):
                self.write(self.data / "scores" / name)
            Book(self.data / Name.HISTORY).enter_scores("score-1", "train-1", self.data / "scores" / "score-1.csv")
        for job in ("train-1", "train-2"):
            self.write(self.pages / f"{job}.html", REPORT.format(job))
            self.write(self.pages / f"{job}.json")
            self.write(self.pages / f"{job}-tables" / "t.csv")
        self.write(self.pages / "own.html")

    def write(self, path: Path, text: str = "old") -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        aged(path)

    def prune(self, *words: object) -> Result:
        arguments = ["prune", "--config", str(self.config), *map(str, words)]
        return CliRunner().invoke(COMMANDS[self.party], arguments, catch_exceptions=False)

    def all(self, *words: object) -> Result:
        kinds = [word for kind in sorted(KINDS[self.party]) for word in (f"--{kind}", 90)]
        return self.prune(*kinds, "--pages", self.pages, "--json", *words)

    def files(self) -> set[str]:
        """With their sizes; a book that is opened is not written."""
        folders = (self.data, self.pages)
        return {f"{f.relative_to(top)} {f.stat().st_size}" for top in folders for f in top.rglob("*") if f.is_file()}


@pytest.fixture(params=Party)
def house(request: pytest.FixtureRequest, tmp_path: Path) -> House:
    return House(request.param, tmp_path)


def test_without_delete_it_only_says_what_would_go(house: House) -> None:
    before = house.files()
    told = json.loads(house.all().stdout)
    names = {(one["kind"], one["name"]) for one in told["found"]}
    wanted = {
        ("models", "train-3"), ("models", "train-4"), ("stock", "predeal-1"), ("log", "local.log"), ("log", "local.log.1"),
        ("reports", "train-1.html"),
    }  # fmt: skip
    if house.party is Party.BANK:
        wanted |= {("scores", "score-1.csv"), ("scores", "score-2.parquet")}
    assert names == wanted and {kind for kind, _ in names} == KINDS[house.party] and told["deleted"] is False
    assert house.files() == before and house.home.audit.head.number == 0


def test_with_delete_that_goes_and_every_book_stays(house: House) -> None:
    books = {file.name for file in house.data.glob("*.sqlite")}
    counts = house.home.positions()
    told = json.loads(house.all("--delete").stdout)
    assert {path.name for path in (house.data / "models").iterdir()} == {"train-1", "train-2", "train-5"}
    assert [stock.label.name for stock in house.home.stocks.held()] == ["predeal-2"]
    assert (house.data / "local.log").stat().st_size == 0 and not (house.data / "local.log.1").exists()
    assert {path.name for path in house.pages.iterdir()} == {"train-2.html", "train-2.json", "train-2-tables", "own.html"}
    assert not list((house.data / "scores").glob("*")) if house.party is Party.BANK else True
    assert {file.name for file in house.data.glob("*.sqlite")} == books
    assert house.home.positions() == counts | {str(Name.SPENT): counts[str(Name.SPENT)] + 1}
    (entry,) = AuditLog(house.data / Name.AUDIT).entries()
    assert entry.what == "prune" and json.loads(entry.detail)["count"] == len(told["found"])
    assert json.loads(house.all("--delete").stdout)["found"] == []
    assert house.home.audit.head.number == 1  # nothing went, so nothing is entered


def test_what_was_pruned_is_known_all_the_same(house: House) -> None:
    copy = house.data / "stock" / "predeal-1.stock"
    shutil.copy(copy, house.data.parent / "copy")
    house.all("--delete")
    shutil.copy(house.data.parent / "copy", copy)
    assert [label.name for label in house.home.stocks.unspent()] == ["predeal-2"]  # a copy that comes back is refused
    assert house.home.knows("predeal-1")
    assert house.home.knows("score-1") is (house.party is Party.BANK)


def test_a_stock_that_an_accepted_job_may_take_stays_until_that_is_over(house: House) -> None:
    plans = {
        "train-9": make_plan({**SIDES, "dealt": "ahead", "model": {"iterations": 6}}, "plan"),
        "train-8": make_plan({**SIDES, "dealt": "ahead", "model": {"iterations": 7}}, "plan"),
        "train-7": make_plan({**SIDES, "model": {"iterations": 6}}, "plan"),
        "predeal-1": PLAN,
    }
    for job, stays in (("train-9", True), ("train-8", False), ("train-7", False), ("predeal-1", True)):
        house.home.unfinished.begin(job, plans[job].canonical(), "wattscore://acme/client")
        for words in ((), ("--delete",)) if stays else ((),):
            told = json.loads(house.prune("--stock", 90, "--json", *words).stdout)
            assert [one["name"] for one in told["found"]] == ([] if stays else ["predeal-1"])
        assert (house.data / "stock" / "predeal-1.stock").exists()
        house.home.unfinished.forget(job)
    house.prune("--stock", 90, "--delete")
    assert [stock.label.name for stock in house.home.stocks.held()] == ["predeal-2"]


def test_only_the_kinds_that_are_asked_for_and_only_what_is_old_enough(house: House) -> None:
    found = json.loads(house.prune("--models", 90, "--json").stdout)["found"]
    assert {one["kind"] for one in found} == {"models"}
    assert json.loads(house.prune("--models", 101, "--json").stdout)["found"] == []
    assert "2 would go" in house.prune("--models", 90).stdout and "--delete does it" in house.prune("--models", 90).stdout


@pytest.mark.parametrize(
    "words", [[], ["--delete"], ["--reports", "9"], ["--pages", "p"], ["--models", "0"], ["--ledger", "9"]]
)
def test_what_is_no_request_is_refused_and_deletes_nothing(house: House, words: list[str]) -> None:
    before = house.files()
    assert house.prune(*words).exit_code == 2 and house.files() == before


def test_jobs_that_go_on_keep_their_model(house: House) -> None:
    house.home.unfinished.begin("train-3", "{}", "wattscore://acme/client")
    found = json.loads(house.prune("--models", 90, "--json").stdout)["found"]
    assert [one["name"] for one in found] == ["train-4"]

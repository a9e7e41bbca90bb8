"""What is opened to an auditor: a job with the stocks it took, nothing that may still serve, and what is not kept by name."""

from __future__ import annotations

import asyncio
import threading
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from common.daemon import runner
from common.daemon.opening import Found, find_openings
from common.errors import JobNotFound, JobStateError, PolicyError
from common.home.audit import What
from common.home.dealt import MOST, DealtBook, Heard, Opening
from common.home.home import Home
from common.home.jobbook import Offered
from common.home.stock import BETWEEN, StockFile, StockLabel
from common.home.stocks import Held, Stocks
from common.learn.dealings import MESSAGES
from common.monitor.config import MonitorConfig
from common.mpc.prg import Prg
from common.mpc.session import Kind, Round
from common.party import Party
from common.plan.predeal import PredealPlan
from common.plan.train import TrainPlan
from common.wire import party_pb2 as wire
from grid_party.home import GridHome
from grid_party.settings import GridPolicy
from tests.common.auditor.test_replay_stock import plan_of, stocked
from tests.common.daemon.test_runner import Desk, plan
from tests.patience import patience

STOCK, JOB = "predeal-1", "score-1"
PLAN = TrainPlan.model_validate({"grid": {"dataset": "a"}, "bank": {"dataset": "b"}, "dealt": "ahead"})


def at_home(folder: Path) -> GridHome:
    return GridHome(folder, "wattscore://neutral/coordinator", GridPolicy(), MonitorConfig())


@pytest.fixture
def home(tmp_path: Path) -> GridHome:
    """A grid that was dealt a stock, with what it was dealt kept."""
    openings = asyncio.run(stocked(tmp_path, plan_of("scores")))
    home = at_home(tmp_path / "grid")
    home.dealt.keep(openings[Party.GRID])
    home.audit.add(What.ACCEPT, STOCK)
    home.audit.end(STOCK, dict, dealt=openings[Party.GRID].digest)
    return home


def taken(shelf: Stocks, label: StockLabel) -> StockFile:
    found = shelf.reserve(label)
    assert found is not None
    shelf.use(found)
    return found


def take(home: Home, job: str = JOB) -> None:
    """As a job does that takes the stock."""
    taken(home.stocks.entering(partial(home.bind, job)), home.stocks.unspent()[0]).close()


def give_back(home: Home) -> None:
    """As a job does that enters the stock and is killed then."""
    held = home.stocks.reserve(home.stocks.unspent()[0])
    assert held is not None
    with closing(held):
        home.bind(JOB, held)


def own_opening(job: str = JOB) -> Opening:
    return Opening(
        job=job, party=Party.GRID, plan=PLAN.canonical(), dealt="aa" * 32, nonce="bb" * 32, commitments=("", "")
    )  # fmt: skip


def runs(home: Home, job: str = JOB) -> None:
    home.audit.add(What.ACCEPT, job)
    home.jobs.enter(Offered(job, "score"))


def over(home: Home, job: str = JOB) -> None:
    home.audit.end(job, dict)


def told(found: Found) -> list[tuple[str, str]]:
    return [(one.job, one.taken) for one in found.openings]


def test_a_job_is_opened_with_the_stock_that_it_took(home: GridHome) -> None:
    runs(home)
    home.dealt.keep(own_opening())
    take(home)
    over(home)
    found = find_openings(home, JOB)
    assert told(found) == [(JOB, ""), (STOCK, JOB)] and list(found.stocks) == [STOCK] and not found.left_out
    assert told(find_openings(home, JOB, 0)) == told(found)
    assert told(find_openings(home, STOCK)) == [(STOCK, JOB)]


def test_a_job_that_nobody_dealt_for_while_it_ran_is_opened_by_its_stock_alone(home: GridHome) -> None:
    runs(home)
    take(home)
    over(home)
    assert told(find_openings(home, JOB)) == [(STOCK, JOB)]


def test_nothing_is_opened_of_a_job_that_runs(home: GridHome) -> None:
    """A session of requests goes on masking rows with the stock that it has taken."""
    runs(home)
    home.dealt.keep(own_opening())
    take(home)
    for name in (JOB, STOCK):
        with pytest.raises(JobStateError, match=f"job {JOB} has not ended here: its masks may still serve"):
            find_openings(home, name)
        assert find_openings(home, name, killed=True).openings
    home.audit.end(JOB, dict, error="PeerLost", late=True)  # of an attempt before, which a full disk had kept out
    with pytest.raises(JobStateError):
        find_openings(home, JOB)
    home.audit.end(JOB, dict, error="PeerLost")
    assert len(find_openings(home, JOB).openings) == 2
    home.audit.add(What.ACCEPT, JOB)  # it is offered again, after an interruption
    with pytest.raises(JobStateError):
        find_openings(home, JOB)
    home.jobs.end(JOB, "failed")  # the coordinator says so, of a job whose process was killed here
    assert len(find_openings(home, JOB).openings) == 2


def test_a_stock_that_may_still_serve_is_opened_only_where_it_is_given_up(home: GridHome, tmp_path: Path) -> None:
    file = tmp_path / "grid" / "stock" / f"{STOCK}.stock"
    whole = file.read_bytes()
    with pytest.raises(PolicyError, match=f"stock {STOCK} is not used up"):
        find_openings(home, STOCK)
    assert [label.name for label in home.stocks.unspent()] == [STOCK]
    assert told(find_openings(home, STOCK, discard=True)) == [(STOCK, "")]
    assert not file.exists()
    for name in (f"{STOCK}.stock", "other.stock"):
        (file.parent / name).write_bytes(whole)  # a copy comes back
        assert at_home(tmp_path / "grid").stocks.unspent() == []


def test_a_job_that_takes_a_stock_while_it_is_given_up_gets_nothing_or_is_named(home: GridHome) -> None:
    """Whoever comes first: what is opened serves nobody."""
    (label,) = home.stocks.unspent()
    runs(home)

    def given_up(stock: StockFile) -> None:
        home.audit.add(What.TAKE, JOB, stock=stock.label.name)
        with pytest.raises(JobStateError):
            find_openings(home, STOCK, discard=True)

    with pytest.raises(PolicyError, match="is spent"):
        taken(home.stocks.entering(given_up), label)


def test_of_a_stock_that_was_removed_no_copy_can_be_used_once_it_is_opened(home: GridHome, tmp_path: Path) -> None:
    """Where its job was begun anew, say: nobody had entered it in the book of spent ones."""
    file = tmp_path / "grid" / "stock" / f"{STOCK}.stock"
    whole = file.read_bytes()
    home.stocks.remove(STOCK)
    assert told(find_openings(home, STOCK)) == [(STOCK, "")]
    file.write_bytes(whole)
    assert home.stocks.unspent() == []


def test_a_stock_that_a_job_entered_and_gave_back_is_not_opened_with_it_while_it_serves_another(
    home: GridHome, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk took the entry and not the book of spent ones: nothing was sent. The next job's masks were opened with it."""

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    runs(home)
    with monkeypatch.context() as patched:
        patched.setattr(Stocks, "_enter", full)
        with pytest.raises(OSError, match="No space"):
            take(home)
    over(home)
    home.dealt.keep(own_opening())
    found = find_openings(home, JOB)
    assert told(found) == [(JOB, "")] and found.left_out == [f"stock {STOCK} was given back, and is not used up"]
    runs(home, "score-2")
    take(home, "score-2")
    found = find_openings(home, JOB)
    assert told(found) == [(JOB, "")] and found.left_out == [f"stock {STOCK} was given back, and taken by job score-2"]
    with pytest.raises(JobStateError):
        find_openings(home, "score-2")
    over(home, "score-2")
    assert told(find_openings(home, "score-2")) == [(STOCK, "score-2")]


def test_a_stock_that_another_job_uses_up_while_an_opening_looks_is_not_opened(
    home: GridHome, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was on the shelf when it was asked who had entered it last, and was not a moment later."""
    runs(home)
    give_back(home)
    over(home)
    home.dealt.keep(own_opening())
    shelf = Stocks.held

    def used_first(self: Stocks) -> list[Held]:
        if self.holds(STOCK):
            take(home, "score-2")
        return shelf(self)

    monkeypatch.setattr(Stocks, "held", used_first)
    runs(home, "score-2")
    found = find_openings(home, JOB)
    assert told(found) == [(JOB, "")] and found.left_out == [f"stock {STOCK} was given back, and taken by job score-2"]


def test_a_stock_that_a_job_gave_back_and_took_again_is_opened_once(home: GridHome) -> None:
    runs(home)
    give_back(home)
    take(home)
    over(home)
    found = find_openings(home, JOB)
    assert told(found) == [(STOCK, JOB)] and list(found.stocks) == [STOCK]


def lose(home: Home) -> None:
    """What the stock was dealt is not kept any more."""
    for file in (home._data / "dealt").glob(f"{STOCK}.*"):
        file.unlink()


def test_what_of_a_stock_cannot_be_opened_is_said_by_name(home: GridHome) -> None:
    """One of which nothing was kept when it was taken, one of which nothing is kept by now, one that both have made."""
    whole = home.dealt.read(STOCK)[0]
    lose(home)
    runs(home, "score-1")
    take(home, "score-1")
    for job, maker in (("score-2", ""), ("score-3", BETWEEN + "ab")):
        seed = Prg.fresh_seed()
        with home.stocks.create(job.replace("score", "predeal"), plan_of("scores"), seed, maker) as writer:
            writer.finish()
            writer.commit()
        runs(home, job)
        if not maker:
            home.dealt.keep(whole.model_copy(update={"job": "predeal-2", "dealt": "00" * 32, "nonce": "00" * 32}))
        take(home, job)
    for job, text in (
        ("score-1", "what stock predeal-1 was dealt was not kept when it was taken"),
        ("score-2", "what stock predeal-2 was dealt was not kept when it was taken"),  # it is another one's
        ("score-3", "stock predeal-3 was made by both parties: nobody dealt it"),
    ):
        over(home, job)
        with pytest.raises(JobNotFound, match=text):
            find_openings(home, job)
        home.dealt.keep(own_opening(job))
        found = find_openings(home, job)
        assert told(found) == [(job, "")] and len(found.left_out) == 1 and text in found.left_out[0]


def test_of_a_stock_that_was_kept_and_is_not_any_more_that_is_said(home: GridHome) -> None:
    runs(home)
    take(home)
    over(home)
    lose(home)
    with pytest.raises(JobNotFound, match=f"nothing is kept of what job '{STOCK}', attempt 0 was dealt"):
        find_openings(home, JOB)


def test_what_a_stock_was_dealt_stays_until_it_is_used_and_then_counts_as_new(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("common.home.dealt.MOST", 3)
    assert MOST > 3
    held = {STOCK}
    book = DealtBook(tmp_path, held.__contains__)
    stock = own_opening(STOCK)
    book.keep(stock)
    for number in range(5):
        book.keep(own_opening(f"job-{number}"))
    assert book.read(STOCK) == (stock,) and len(list(tmp_path.iterdir())) == 4
    held.clear()
    book.renew(stock)
    book.keep(own_opening("job-5"))
    assert book.read(STOCK) == (stock,)
    for number in range(6, 9):
        book.keep(own_opening(f"job-{number}"))
    with pytest.raises(JobNotFound):
        book.read(STOCK)


def test_of_attempts_a_stock_is_known_by_its_seed_and_the_last_that_was_dealt_anything_counts(
    tmp_path: Path,
) -> None:
    book = DealtBook(tmp_path)
    first = own_opening(STOCK).model_copy(update={"demands": (("scores", {"rows": 1}),)})
    book.keep(first)
    last = first.model_copy(update={"attempt": 1, "dealt": "cc" * 32, "demands": ()})
    book.keep(last)
    assert book.of_seed(STOCK, first.seed) == first and book.of_seed(STOCK, last.seed) == last
    assert book.of_seed(STOCK, bytes(32)) is None and book.of_seed("predeal-2", first.seed) is None
    assert book.read(STOCK) == (first,)
    (tmp_path / f"{STOCK}.0.json").write_text("{}")
    assert book.of_seed(STOCK, first.seed) is None


def test_a_job_enters_what_it_takes_before_it_is_spent(tmp_path: Path) -> None:
    plan = PredealPlan.model_validate({"serves": "scores", "rows": 9, "grid_columns": 1, "bank_columns": 1})
    shelf = Stocks(tmp_path / "stock", tmp_path / "spent.sqlite", "d", 64)
    with shelf.create(STOCK, plan, Prg.fresh_seed()) as writer:
        writer.finish()
        writer.commit()
    seen = list[tuple[str, bool]]()
    own = shelf.of("").entering(lambda stock: seen.append((stock.label.name, shelf.holds(STOCK))))
    with closing(taken(own, own.unspent()[0])):
        assert seen == [(STOCK, True)] and not shelf.holds(STOCK)


async def test_a_job_that_runs_is_not_over_because_the_coordinator_says_that_it_has_succeeded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was entered as done, and so could be opened to an auditor, whom a dealer in dispute may know, while it masked rows."""
    desk, begun, end = Desk(tmp_path), asyncio.Event(), asyncio.Event()

    async def compute(*_: Any) -> wire.Report:
        begun.set()
        await end.wait()
        return wire.Report()

    monkeypatch.setattr(desk.runner._attempts, "_compute", compute)
    monkeypatch.setattr(runner, "_END", 0.01)
    await desk.offer(plan())
    await desk.runner.take(wire.ToParty(start=wire.Start(job="train-1")), desk.send)
    await begun.wait()
    over = wire.ToParty(over=wire.Over(job="train-1", succeeded=True))
    await desk.runner.take(over, desk.send)
    with pytest.raises(JobStateError, match="has not ended here"):
        find_openings(desk.home, "train-1")
    assert [one.state for one in desk.home.jobs.jobs()] == ["accepted"] and desk.runner.held() == ["train-1"]
    task = desk.runner._jobs["train-1"].task
    assert task is not None
    end.set()
    await task
    await desk.runner.take(over, desk.send)  # it says so again
    assert [one.state for one in desk.home.jobs.jobs()] == ["done"] and desk.runner.held() == []


async def test_what_a_job_had_heard_as_it_was_stopped_is_kept_after_what_came_first(tmp_path: Path) -> None:
    """Both are one file: what came first was written over all of it, or neither was kept, where the disk was slow."""
    desk, begun, go = Desk(tmp_path), threading.Event(), threading.Event()
    await desk.offer(plan())
    running = desk.runner._jobs["train-1"]

    class Slow(DealtBook):
        def keep(self, opening: Opening) -> None:
            if not opening.arrays:
                begun.set()
                go.wait(patience(10))
            super().keep(opening)

    class Link:
        async def receive(self, round: Round) -> Any:
            return np.zeros(3, np.uint64)

    link: Any = Link()
    heard, book = Heard(own_opening(), link, MESSAGES), Slow(tmp_path / "dealt")
    await heard.receive(Round(Kind.DEALT_PERIODS, 0))
    whole, heard._arrays = heard._arrays, []

    async def attempt() -> None:
        try:
            await running.hears(heard, book)
        finally:
            heard._arrays = whole
            await asyncio.to_thread(running.keep_heard, book)

    task = asyncio.create_task(attempt())
    await asyncio.to_thread(begun.wait)
    task.cancel()
    for _ in range(5):
        await asyncio.sleep(0)
    assert not task.done() and not heard._arrays
    go.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    (kept,) = book.read(JOB)
    assert len(kept.arrays) == 1

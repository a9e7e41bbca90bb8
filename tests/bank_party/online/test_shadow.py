"""A challenger beside the champion: what it scores is kept beside what was answered, and it never stands in an answer's way."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from pydantic import ValidationError

from bank_party.judge import shadow as judge
from bank_party.online import sessions
from bank_party.online.config import SHADOW_ROWS, ShadowConfig
from bank_party.online.desk import SessionDesk
from bank_party.online.queue import Batch, Queue, Row, Scored
from bank_party.online.shadow import Pair, Shadow, ShadowBook
from bank_party.online.stocks import BITS
from common.daemon.answers import Answers
from common.disk.elapsed import Times
from common.errors import PeerLost, PolicyError
from common.home.stock import StockLabel, dealing
from common.home.stocks import Held as Dealt
from common.learn.learners import named
from common.party import Identity, Party
from common.rows.months import month_number
from common.stages.desk import Answer, Remains, Warm

MAY, BANK = month_number("2025-05"), Identity("acme", "bank-party")


def decided(u: float) -> dict[str, object]:
    return {"u": u, "probability": 1 / (1 + 2.7**-u), "grade": 3, "decision": "approve" if u < 0 else "decline"}


def scored(id: str, u: float, period: int | None = None) -> Scored:
    return Scored(Row(id, period), period, decided(u))


def batch(*rows: Scored, model: str = "champion-1") -> Batch:
    return Batch("score-1", model, rows, 100)


class Bench:
    """A challenger whose session is played by the test: `serve` answers what waits, with u of each id."""

    def __init__(self, folder: Path, waiting_rows: int = 500) -> None:
        self.book = ShadowBook(folder / "shadows.sqlite")
        self.queue = Queue(waiting_rows)
        sessions: Any = SimpleNamespace(current=object(), down=None, soon=True)
        self.sessions = sessions
        config = ShadowConfig(model="challenger-2", waiting_rows=waiting_rows)
        self.shadow = Shadow(config, self.queue, sessions, self.book)

    async def serve(self, u: dict[str, float]) -> list[int]:
        """How many rows each request was of that it answered."""
        await asyncio.sleep(0)
        sizes = []
        while taken := self.queue.take(SHADOW_ROWS):
            for wanted in taken:
                rows = tuple(
                    Scored(row, row.period, decided(u[row.id])) if row.id in u else Scored(row, row.period, refused="no")
                    for row in wanted.rows
                )
                wanted.answer.set_result(Batch("score-2", "challenger-2", rows, 50))
                sizes.append(len(rows))
        await asyncio.gather(*self.shadow._running)
        return sizes


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


async def test_both_models_scores_of_a_row_are_kept_side_by_side_and_compared(bench: Bench) -> None:
    refused = Scored(Row("C", None), None, refused="the grid holds no such row")
    bench.shadow.beside(batch(scored("A", -1.0), scored("B", 2.0), scored("B", 2.0), refused))
    assert await bench.serve({"A": 1.0, "B": 3.0}) == [2]
    assert [pair[:2] for pair in bench.book.compared()] == [("champion-1", "challenger-2")]
    mine, theirs = bench.book.read("champion-1", "challenger-2")
    assert mine["u"].tolist() == [1.0, 3.0] and theirs["u"].tolist() == [-1.0, 2.0] and mine["id"].tolist() == ["A", "B"]
    found = judge.compare("champion-1", mine, theirs)
    assert found is not None and (found.rows, found.otherwise, found.champion_approved) == (2, 0.5, 0.5)
    assert (bench.shadow.scored, bench.shadow.left_out) == (2, 0)


async def test_months_are_told_apart_and_of_a_row_scored_again_the_last_counts(bench: Bench) -> None:
    for u in (0.5, 0.75):
        bench.shadow.beside(batch(scored("A", -1.0, MAY), scored("A", -1.0, MAY + 1)))
        await bench.serve({"A": u})
    mine, _ = bench.book.read("champion-1", "challenger-2")
    assert mine["period"].tolist() == ["2025-05", "2025-06"] and mine["u"].tolist() == [0.75, 0.75]


async def test_rows_go_in_parts_that_a_stock_serves(bench: Bench) -> None:
    rows = [scored(f"F{k}", 0.0) for k in range(2 * SHADOW_ROWS + 50)]
    bench.shadow.beside(batch(*rows))
    assert await bench.serve({one.row.id: 0.5 for one in rows}) == [SHADOW_ROWS, SHADOW_ROWS, 50]
    assert bench.shadow.scored == len(rows)


async def test_nothing_that_goes_wrong_there_reaches_who_asked(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    bench.shadow.beside(batch(scored("A", 0.0), scored("N", 0.0)))
    await bench.serve({"A": 1.0})  # it holds no N
    assert (bench.shadow.scored, bench.shadow.left_out) == (1, 1)
    bench.sessions.current, bench.sessions.soon = None, False
    bench.sessions.down = PolicyError("no stock to spare")
    for _ in range(3):
        bench.shadow.beside(batch(scored("A", 0.0)))
        await bench.serve({})
    assert bench.shadow.left_out == 4 and caplog.text.count("no stock to spare") == 1
    bench.sessions.current = object()
    for k in range(8):
        bench.shadow.beside(batch(*(scored(f"{k}-{j}", 0.0) for j in range(SHADOW_ROWS))))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert bench.queue.rows == 500 and bench.shadow.left_out == 304 and "too many rows wait" in caplog.text
    await bench.shadow.stop()


async def test_a_challenger_that_has_become_the_champion_scores_no_more(bench: Bench) -> None:
    bench.shadow.beside(batch(scored("A", 0.0), model="challenger-2"))
    assert not bench.shadow._running and await bench.serve({"A": 1.0}) == []


def test_pairs_that_are_too_old_are_gone(tmp_path: Path) -> None:
    now = 1e9
    book = ShadowBook(tmp_path / "shadows.sqlite", 2.0, Times(lambda: now, lambda: ("start", now)))
    book.enter([Pair("c", "d", scored("A", 0.0), scored("A", 1.0))])
    now += 86_400.0
    book.enter([Pair("c", "d", scored("B", 0.0), scored("B", 1.0))])
    now += 86_401.0
    book.enter([Pair("c", "d", scored("C", 0.0), scored("C", 1.0))])
    assert book.read("c", "d")[0]["id"].tolist() == ["B", "C"]
    assert (tmp_path / "shadows.sqlite").stat().st_mode & 0o077 == 0


async def test_a_desk_with_one_stock_takes_no_more_than_it_serves_and_is_over_then() -> None:
    queue = Queue(1000)
    desk = SessionDesk(queue, by_period=False, one_stock=True)
    desk.ready(Warm("score-1", "challenger-2", dict.fromkeys("ABCDE", 0), 3, list, True))
    first, second = queue.put((Row("A", None), Row("B", None))), queue.put((Row("C", None), Row("D", None)))
    assert list(await desk.ask() or ()) == ["A", "B"]
    await desk.hear([Answer(name, {"u": 0.5}) for name in "AB"], Remains(1, stale=False))
    assert (await first).model == "challenger-2" and not desk.stale.is_set()
    waits = asyncio.ensure_future(desk.ask())
    await desk.stale.wait()  # the next session, of another stock, takes the rest
    desk.retire()
    assert await waits is None and queue.rows == 2 and not second.done()


def test_the_champion_is_no_challenger() -> None:
    with pytest.raises(ValidationError, match="name a training job"):
        ShadowConfig(model="champion")
    with pytest.raises(ValidationError):
        ShadowConfig(model="train-1", stock_rows=SHADOW_ROWS - 1)


class Refusing:
    """A runner whose jobs the grid refuses; it counts them, as the day's rates do."""

    def __init__(self) -> None:
        self.begun = 0

    async def begin(self, *_: Any, **__: Any) -> Any:
        self.begun += 1
        raise PolicyError("too many models have scored these rows")


class Held(Refusing):
    """The same, once it is let go. among: how many jobs began while another one did."""

    def __init__(self) -> None:
        super().__init__()
        self.asked, self.go = asyncio.Event(), asyncio.Event()
        self.running = self.among = 0

    async def begin(self, *_: Any, **__: Any) -> Any:
        self.among += self.running > 0
        self.running += 1
        self.asked.set()
        await self.go.wait()
        self.running -= 1
        return await super().begin()


STOCKS = {"whole": (150, 4), "retired": (150, 3), "few": (10, 4), "more": (200, 4)}  # rows, and columns of the bank's


class Both:
    """The champion's sessions and the challenger's at one bank, whose stocks are named in STOCKS."""

    def __init__(self, runner: Refusing, *stocks: str) -> None:
        self.registry = SimpleNamespace(champion="train-1")
        self.stocks = list(stocks or ("whole", "more"))
        half: Any = SimpleNamespace(closed=True, learner="linear", party=Party.BANK, columns=list("abcd"), other=())
        learner = named("linear")
        deals = dealing(learner.ahead_scores(learner.scored_by(half), learner.scored(half, 1), BITS))

        def held() -> list[Dealt]:
            sizes = ((name, *STOCKS[name]) for name in self.stocks)
            return [Dealt(StockLabel(name, "d", deals, rows, 0, columns), 1, 0.0) for name, rows, columns in sizes]

        home = SimpleNamespace(
            registry=self.registry,
            stocks=SimpleNamespace(check=lambda *_: None, held=held),
            models=SimpleNamespace(load=lambda job: self.others.get(job, half)),
        )
        self.others: dict[str, Any] = {}  # halves of jobs that are not like the rest
        self.away = False
        self.queue = Queue(10)
        alike = {
            "grid_dataset": "g",
            "bank_dataset": "b",
            "by_period": False,
            "purpose": "",
            "renew_hours": 24.0,
            "grid_reasons": 0,
            "decoys": 0,
        }
        alike |= {"warn_rows": 0, "warn_hours": 0.0}

        def made(model: str, **options: Any) -> sessions.Sessions:
            config: Any = SimpleNamespace(model=model, stock_rows=100, **alike)
            given: Any = (runner, home, config, BANK, lambda: None, self.queue, self._reach)
            return sessions.Sessions(*given, **options)

        self.champion = made("champion")
        self.champion.current = running()
        self.challenger = made("train-2", after=self.champion, what="shadow scores")

    async def _reach(self) -> None:
        if self.away:
            raise PeerLost("the grid is away")


def running() -> Any:
    """A session whose task ends once it is retired."""
    desk = SessionDesk(Queue(10), by_period=False)

    async def serve() -> None:
        await desk.ask()

    return sessions.Session(desk, asyncio.ensure_future(serve()), Answers(), (), "train-1", time.monotonic())


@pytest.mark.parametrize("seldom", [True, False])
async def test_a_challenger_that_is_refused_leaves_the_days_jobs_to_the_champion(
    seldom: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    runner = Refusing()
    both = Both(runner)
    both.away = True
    pauses = list[float]()

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)
        both.away = len(pauses) < 3
        if len(pauses) == 5:
            raise asyncio.CancelledError

    if not seldom:
        both.champion.current = None
    monkeypatch.setattr(sessions, "asyncio", SimpleNamespace(**{**vars(asyncio), "sleep": sleep}))
    with pytest.raises(asyncio.CancelledError):
        await (both.challenger if seldom else both.champion).run()
    assert pauses[:3] == [0.2, 0.5, 1.0] and runner.begun == 2  # without the grid no job begins: it is tried soon again
    assert pauses[3:] == ([2.0, 60.0] if seldom else [0.2, 1.0])


async def test_a_challenger_begins_once_the_champion_serves(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    runner = Refusing()
    both = Both(runner)
    ended = both.champion.current = running()
    ended.desk.retire()
    await ended.task
    for both.champion.current in (ended, None):
        assert not await both.challenger._renew() and runner.begun == 0 and both.challenger.soon
    (told,) = caplog.records
    assert told.levelname == "INFO" and "shadow scores are not served: the champion's session comes first" in told.message
    both.champion.current = running()
    assert not await both.challenger._renew() and runner.begun == 1
    assert caplog.records[-1].levelname == "ERROR"  # refused


@pytest.mark.parametrize("order", [1, -1])
async def test_of_champion_and_challenger_one_begins_after_the_other(order: int) -> None:
    runner = Held()
    both = Both(runner)
    one, other = (both.champion, both.challenger)[::order]
    first = asyncio.ensure_future(one._renew())
    await runner.asked.wait()
    second = asyncio.ensure_future(other._renew())
    for _ in range(10):  # as often as it would look at disks before it began a job
        await asyncio.to_thread(int)
    assert runner.running == 1
    runner.go.set()
    assert not await first and not await second
    assert (runner.begun, runner.among) == (2, 0)


@pytest.mark.parametrize(
    ("stocks", "begun"),
    [
        (("whole", "more"), 1),
        (("whole", "retired"), 0),  # of a model with other columns
        (("whole", "few"), 0),
        (("few", "retired"), 0),
        (("whole",), 0),
    ],
)
async def test_a_challenger_leaves_a_stock_that_the_champion_can_use(stocks: tuple[str, ...], begun: int) -> None:
    runner = Refusing()
    both = Both(runner, *stocks)
    assert not await both.challenger._renew() and runner.begun == begun
    assert begun or "no unspent stock to spare" in str(both.challenger.down)


@pytest.mark.parametrize(("stocks", "begun"), [(("retired",), 1), (("retired", "whole"), 1), (("whole", "more"), 0)])
async def test_a_challenger_of_another_kind_takes_none_that_the_champion_can_use(stocks: tuple[str, ...], begun: int) -> None:
    runner = Refusing()
    both = Both(runner, *stocks)
    both.others["train-2"] = SimpleNamespace(closed=True, learner="linear", party=Party.BANK, columns=list("abc"), other=())
    assert not await both.challenger._renew() and runner.begun == begun


async def test_a_challenger_whose_champion_took_a_stock_meanwhile_leaves_the_last_one() -> None:
    both = Both(Refusing(), "whole", "more")
    taken, go, order = asyncio.Event(), asyncio.Event(), list[str]()

    async def champion() -> None:
        async with both.champion._taking():  # whose stock is used up
            taken.set()
            await go.wait()
            both.stocks.remove("whole")
            order.append("champion")

    async def challenger() -> None:
        await taken.wait()
        async with both.challenger._taking():
            order.append("challenger")

    assert not await both.challenger._renew() and "scored these rows" in str(both.challenger.down)  # there was one to spare
    first, second = asyncio.ensure_future(champion()), asyncio.ensure_future(challenger())
    await taken.wait()
    for _ in range(10):
        await asyncio.to_thread(int)
    assert not second.done()
    go.set()
    await first
    with pytest.raises(PolicyError, match="no unspent stock to spare"):
        await second
    assert order == ["champion"]


async def test_a_challenger_that_is_promoted_ends_its_session_and_begins_none(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    runner = Refusing()
    both = Both(runner)
    one, session = both.challenger, running()
    one.current = session
    both.registry.champion = "train-2"
    assert await one._outdated(session)
    assert not await one._renew() and one.current is None and runner.begun == 0 and not one.soon
    await session.task
    assert "by now" in str(one.down) and {told.levelname for told in caplog.records} == {"INFO"}
    both.registry.champion = "train-3"
    assert not await one._renew() and runner.begun == 1  # another one is champion: it is compared with that

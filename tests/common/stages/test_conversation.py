"""A whole conversation on request, over frames: by a linear model one message of the bank and one of the grid a request."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, nullcontext
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from common.disk.scratch import Scratch
from common.errors import DataError, PolicyError
from common.learn.linear.half import ClosedModel
from common.mpc.correlations.dealt import DealtCorrelations
from common.mpc.session import Kind, Session
from common.party import Party
from common.rows.table import FeatureTable
from common.stages import asked, supply
from common.stages.desk import Answer, Remains, Requests, Warm
from common.wire.peer import Counter, FrameChannel
from tests.common.learn.linear.test_score import BITS, models, rows
from tests.common.wire.streams import duplex
from tests.patience import patience
from tests.peers import ALL, Trio, coordinate

Change = Callable[[Party, FeatureTable], FeatureTable]
HELD, STOCK = 40, 60  # rows of the grid; of a stock
REFUSED = {"F3", "F7"}  # by the grid's books
OVER = "F9"  # by the bank's rates


class Seat:
    """A desk that asks for these, one request after another, and counts what the bank had written by each answer."""

    given = None
    decoys = ()

    def __init__(self, requests: Sequence[Sequence[str]], written: list[Any]) -> None:
        self._requests, self._written = iter(requests), written
        self.heard, self.messages = list[tuple[Sequence[Answer], Remains]](), list[int]()
        self.day = Day()

    def taking(self) -> Any:
        return nullcontext()

    def ready(self, warm: Warm) -> None:
        self.messages.append(len(self._written))

    async def ask(self) -> Sequence[str] | None:
        return next(self._requests, None)

    async def hear(self, answers: Sequence[Answer], remains: Remains) -> None:
        self.heard.append((answers, remains))
        self.messages.append(len(self._written))
        self.day.told(answers)


class Books:
    """The grid's, which refuse some rows: those charged, and messages with scores that left before that was on disk."""

    def __init__(self) -> None:
        self.charged, self.waiting, self.early = list[str](), list[asyncio.Future[None]](), 0

    def left(self, message: Any) -> None:
        self.early += bool(self.waiting) and _asked(message)

    async def charge(self, part: FeatureTable, model: ClosedModel) -> asyncio.Future[None]:
        names = part.ids.texts(part.ids.codes).to_pylist()
        if REFUSED & set(names):
            raise PolicyError("too many models have scored it")
        self.charged.extend(names)
        self.waiting.append(kept := asyncio.get_running_loop().create_future())
        asyncio.get_running_loop().call_later(0.1, self._written, kept)
        return kept

    def _written(self, kept: asyncio.Future[None]) -> None:
        self.waiting.remove(kept)
        kept.set_result(None)


def at_bank(part: FeatureTable, *_: Any) -> None:
    if OVER in part.ids.texts(part.ids.codes).to_pylist():
        raise PolicyError("this client has had its rows of the day")


class Day:
    """The bank's rates: what they have counted, row by row, and whether that is on disk by the time that an answer is told."""

    def __init__(self) -> None:
        self.counted, self.waiting, self.late = list[str](), list[asyncio.Future[None]](), 0

    async def ahead(self, part: FeatureTable, *_: Any) -> Any:
        at_bank(part)
        self.counted += part.ids.tolist()
        self.waiting.append(kept := asyncio.get_running_loop().create_future())
        asyncio.get_running_loop().call_later(0.02, self._written, kept)
        return SimpleNamespace(kept=kept, give_back=self._given_back, lost=self._given_back)

    def _written(self, kept: asyncio.Future[None]) -> None:
        self.waiting.remove(kept)
        if not kept.done():
            kept.set_result(None)

    async def _given_back(self, part: FeatureTable) -> None:
        for name in part.ids.tolist():
            self.counted.remove(name)

    def told(self, answers: Sequence[Answer]) -> None:
        self.late += bool(self.waiting) and any(not answer.refused for answer in answers)


def decided(part: FeatureTable, u: Any, named: Any) -> Mapping[str, Any]:
    return {"u": u}


def job(party: Party, session: Session, desk: Seat | None, books: Books) -> Any:
    policy = SimpleNamespace(max_ids=1000)
    home = SimpleNamespace(policy=policy, key=b"")
    return SimpleNamespace(
        id="score-1", party=party, session=session, correlations=None, home=home, desk=desk, shelf=None, scratch=Scratch(),
        dataset=SimpleNamespace(path="", missing=()), role=SimpleNamespace(decider=lambda model: decided),
        count=lambda **_: None, requests=Requests(),
        charge_ahead=books.charge, rate_ahead=desk and desk.day.ahead, check_grant=None, consents=None,
    )  # fmt: skip


async def converse(
    requests: Sequence[Sequence[str]], monkeypatch: pytest.MonkeyPatch, change: Change = lambda party, table: table
) -> tuple[Seat, Books, dict[Party, list[Any]], Any]:
    """What the desk heard, the grid's books, the messages of each side, and u of the rows in the clear.

    change: of each side's rows, before the session begins.
    """
    (halves, u), books = models(), Books()
    ends = dict(zip(Party, duplex(), strict=True))
    written: dict[Party, list[Any]] = {party: [] for party in Party}
    channels = {}
    for party, end in ends.items():

        async def write(message: Any, of: Any = end.write, log: list[Any] = written[party]) -> None:
            log.append(message)
            books.left(message)
            await of(message)

        end.write = write  # type: ignore[method-assign]
        channels[party] = FrameChannel(end, f"the {party.other.value}", Counter())
        channels[party].start()
    desk = Seat(requests, written[Party.BANK])
    plan: Any = SimpleNamespace(keys=("id",), on_request=STOCK, score_bits=BITS, grid_reasons=0)

    async def side(of: Session, correlations: DealtCorrelations) -> None:
        @asynccontextmanager
        async def stock(*_: Any, reasons: bool) -> AsyncIterator[tuple[Any, Any]]:
            yield correlations, SimpleNamespace(rows=STOCK, reasons=0)

        at = of.party
        by[at] = stock
        session = Session(at, channels[at], allowed=ALL)
        table = rows(at).take(np.arange(HELD)) if at is Party.GRID else rows(at)
        own = job(at, session, desk if at is Party.BANK else None, books)
        await asked.serve_requests(own, plan, halves[at], change(at, table), ())

    by: dict[Party, Any] = {}

    def stocked(session: Session, *more: Any, **how: Any) -> Any:
        return by[session.party](*more, **how)

    monkeypatch.setattr(supply, "scores_ahead", stocked)
    monkeypatch.setattr(supply, "usable", lambda *_: [])
    await asyncio.wait_for(coordinate(Trio(), side), patience(60))
    for channel in channels.values():
        await channel.stop()
    return desk, books, written, u


async def test_a_request_by_a_linear_model_is_one_message_each_way(monkeypatch: pytest.MonkeyPatch) -> None:
    requests = [["F0"], ["F1", "F99", "F3", "F2"], ["F77"], ["F7"], ["F9", "F4"], ["F0", "F5"]]
    desk, books, written, u = await converse(requests, monkeypatch)
    charged = books.charged
    told = [{answer.name: answer for answer in answers} for answers, _ in desk.heard]
    for names, answers in zip(requests, told, strict=True):
        for name in names:
            why = answers[name].refused
            if "F9" in names:
                assert "had its rows" in why
            elif name in REFUSED:
                assert "the grid's books" in why
            elif int(name[1:]) >= HELD:
                assert "holds no such row" in why
            else:
                assert abs(answers[name].decided["u"] - u[int(name[1:])]) < 1.5 * 2.0**-BITS + 0.005 and not why
    assert books.early == 0  # none before its charge was on disk
    assert charged == ["F0", "F1", "F2", "F0", "F5"]  # and none of those that the bank's own rates refused
    assert sorted(desk.day.counted) == sorted(charged) and desk.day.late == 0  # as the grid; on disk before an answer is told
    assert [after - before for before, after in zip(desk.messages, desk.messages[1:], strict=False)] == [1, 1, 1, 1, 0, 1]
    grid = [message for message in written[Party.GRID] if _asked(message)]
    assert len(grid) == 5  # one message a request, the last of the grid's
    assert written[Party.GRID][-5:] == grid
    assert [remains.rows for _, remains in desk.heard] == [59, 55, 54, 53, 53, 51]  # a mask for each row asked for


@pytest.mark.parametrize("dated", [(Party.GRID,), (Party.BANK,), tuple(Party)])
async def test_rows_that_are_asked_for_by_id_are_found_where_a_dataset_has_months(
    dated: tuple[Party, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Months were part of what rows were called at the side that has them: it held none that was asked for, and said so."""

    def months(party: Party, table: FeatureTable) -> FeatureTable:
        when = 24_290 + np.arange(table.rows, dtype=np.int32) % (2 + party.index)
        return replace(table, periods=when) if party in dated else table

    desk, books, _, u = await converse([["F0", "F5"]], monkeypatch, months)
    ((answers, _),) = desk.heard
    assert books.charged == ["F0", "F5"] and not any(answer.refused for answer in answers)
    assert [answer.decided["u"] for answer in answers] == pytest.approx(u[[0, 5]], abs=1.5 * 2.0**-BITS + 0.005)


async def test_rows_that_repeat_an_id_are_not_asked_for_by_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def twice(party: Party, table: FeatureTable) -> FeatureTable:
        if party is Party.BANK:
            return table
        return replace(table.take(np.arange(10) // 2), periods=24_290 + np.arange(10, dtype=np.int32) % 2)

    with pytest.raises(DataError, match="5 rows repeat an id, and the plan aligns by id alone"):
        await converse([["F0"]], monkeypatch, twice)


def _asked(message: Any) -> bool:
    frames = getattr(message, "frames", (message,))
    return any(frame.kind == Kind.ASKED.value for frame in frames)

"""A party's part of a training with a stock, which is made beside what both say of the stock."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from pathlib import Path
from typing import Any

import pytest

from common.errors import DataError, LocalProtocolError
from common.home.stock import StockFile
from common.home.stocks import Stocks
from common.learn.learner import Size
from common.learn.linear.learner import LinearTask
from common.mpc.beside import side_by_side
from common.mpc.session import Kind
from common.party import Party
from common.stages.ahead import train_ahead
from tests.common.stages.test_ahead import EXACT, MODEL, ahead, deal, names, part_of, shelf
from tests.peers import KEYS, Trio


async def test_a_part_is_made_while_the_stock_is_agreed_on_and_before_it_is_spent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither waits for the other: here each part is made once both have the stock, and not before."""
    await deal(tmp_path, EXACT)
    trio, had, both, reserve, use = Trio(), list[str](), asyncio.Event(), Stocks.reserve, Stocks.use
    loop, made = asyncio.get_running_loop(), set[Party]()

    def reserves(self: Stocks, *about: Any) -> Any:
        found = reserve(self, *about)
        had.append("had")
        if len(had) == 2:
            loop.call_soon_threadsafe(both.set)
        return found

    def uses(self: Stocks, stock: StockFile) -> None:
        assert made == set(Party)
        use(self, stock)

    async def making(party: Party) -> LinearTask:
        await both.wait()
        assert trio.session[party].traffic.sent.keys() <= {Kind.STOCK}
        made.add(party)
        return part_of(party, MODEL)

    def side(party: Party) -> Awaitable[Any]:
        size = part_of(party, MODEL).size
        return train_ahead(trio.session[party], shelf(tmp_path, party), KEYS[party], MODEL, size, making(party))

    monkeypatch.setattr(Stocks, "reserve", reserves)
    monkeypatch.setattr(Stocks, "use", uses)
    found = await asyncio.wait_for(side_by_side(map(side, Party)), 60.0)
    assert [len(trained.weights) for trained in found] == [3, 4]
    assert names(tmp_path) == {"grid": [], "bank": []}


@pytest.mark.parametrize("fails", list(Party))
async def test_a_part_that_cannot_be_made_costs_no_stock(tmp_path: Path, fails: Party) -> None:
    await deal(tmp_path, EXACT)
    trio = Trio()

    async def making(party: Party) -> LinearTask:
        if party is fails:
            raise DataError("no room", public="no room")
        return part_of(party, MODEL)

    def side(party: Party) -> Awaitable[Any]:
        size = part_of(party, MODEL).size
        return train_ahead(trio.session[party], shelf(tmp_path, party), KEYS[party], MODEL, size, making(party))

    with pytest.raises(DataError, match="no room"):
        await side_by_side(map(side, Party))
    assert names(tmp_path) == {"grid": ["predeal-1"], "bank": ["predeal-1"]}
    assert all(Kind.MASKED_MATRIX not in trio.session[party].traffic.sent for party in Party)
    await ahead(tmp_path)
    assert names(tmp_path) == {"grid": [], "bank": []}


async def test_a_part_of_another_size_than_the_stock_was_taken_for_is_refused(tmp_path: Path) -> None:
    await deal(tmp_path, EXACT)
    trio = Trio()

    def side(party: Party) -> Awaitable[Any]:
        with_stock = trio.session[party], shelf(tmp_path, party), KEYS[party], MODEL, Size(2000, 3, 4)
        return train_ahead(*with_stock, asyncio.sleep(0, part_of(party, MODEL)))

    with pytest.raises(LocalProtocolError, match="another size"):
        await side_by_side(map(side, Party))
    assert names(tmp_path) == {"grid": ["predeal-1"], "bank": ["predeal-1"]}

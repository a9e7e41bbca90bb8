"""A party's part of a training with a stock, which is made beside what both say of the stock."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from pathlib import Path
from typing import Any

import pytest

from common.errors import LocalProtocolError
from common.home.stocks import Stocks
from common.learn.learner import Size
from common.learn.linear.learner import LinearTask
from common.mpc.beside import side_by_side
from common.mpc.session import Kind
from common.party import Party
from common.stages.ahead import train_ahead
from tests.common.stages.test_ahead import EXACT, MODEL, deal, part_of, shelf
from tests.peers import KEYS, Trio


async def test_a_part_is_made_while_the_stock_is_agreed_on_and_spent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither waits for the other: here each part is made once both stocks are spent, and not before."""
    await deal(tmp_path, EXACT)
    trio, spent, both, spend = Trio(), list[str](), asyncio.Event(), Stocks.spend
    loop = asyncio.get_running_loop()

    def spends(self: Stocks, *about: Any) -> Any:
        found = spend(self, *about)
        spent.append("spent")
        if len(spent) == 2:
            loop.call_soon_threadsafe(both.set)
        return found

    async def making(party: Party) -> LinearTask:
        await both.wait()
        assert Kind.MASKED_MATRIX not in trio.session[party].traffic.sent
        return part_of(party, MODEL)

    def side(party: Party) -> Awaitable[Any]:
        size = part_of(party, MODEL).size
        return train_ahead(trio.session[party], shelf(tmp_path, party), KEYS[party], MODEL, size, making(party))

    monkeypatch.setattr(Stocks, "spend", spends)
    found = await asyncio.wait_for(side_by_side(map(side, Party)), 60.0)
    assert [len(trained.weights) for trained in found] == [3, 4]


async def test_a_part_of_another_size_than_the_stock_was_taken_for_is_refused(tmp_path: Path) -> None:
    await deal(tmp_path, EXACT)
    trio = Trio()

    def side(party: Party) -> Awaitable[Any]:
        with_stock = trio.session[party], shelf(tmp_path, party), KEYS[party], MODEL, Size(2000, 3, 4)
        return train_ahead(*with_stock, asyncio.sleep(0, part_of(party, MODEL)))

    with pytest.raises(LocalProtocolError, match="another size"):
        await side_by_side(map(side, Party))

"""What is computed beside other work is left to nobody where that work fails."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from common.errors import PeerLost
from common.learn.linear import hessian
from common.learn.linear.descent import Descent
from common.learn.span import Span
from common.mpc import crossed
from common.mpc.beside import ending
from common.mpc.crossed import share_crossed
from common.mpc.session import Kind, Session
from common.party import Party
from tests.channels import memory_pair


class Begins(Session):
    """A session whose work in the background is never done, but for what `at_once` names; its other party falls silent."""

    def __init__(self, at_once: str = "", heard: int = 0) -> None:
        super().__init__(Party.GRID, memory_pair()[0])
        self._at_once, self._heard, self.begun = at_once, heard, list[asyncio.Future[Any]]()

    def begin(self, work: Callable[[], Any], words: int) -> asyncio.Future[Any]:
        future = asyncio.get_running_loop().create_future()
        if getattr(work, "func", work).__name__ == self._at_once:
            future.set_result(work())
        else:
            self.begun.append(future)
        return future

    async def collect(self, kind: Kind, dtype: Any, shape: tuple[int, ...]) -> Any:
        if self._heard == 0:
            raise PeerLost("the other party is gone")
        self._heard -= 1
        return np.zeros(shape, dtype)


def ended(session: Begins, count: int) -> bool:
    return [one.cancelled() for one in session.begun] == [True] * count


async def test_what_is_not_done_at_the_end_is_cancelled_and_what_is_done_stays() -> None:
    begun = [asyncio.get_running_loop().create_future() for _ in range(2)]
    with pytest.raises(PeerLost), ending(begun):
        begun[0].set_result(7)
        begun.append(asyncio.get_running_loop().create_future())
        raise PeerLost("the other party is gone")
    assert begun[0].result() == 7 and [one.cancelled() for one in begun] == [False, True, True]


async def test_blocks_that_are_multiplied_when_the_line_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crossed, "MATRIX_BLOCK", 10)
    session, numbers = Begins("masked", heard=2), np.zeros((3, 40), np.int32)
    source: Any = SimpleNamespace(half_mask=lambda purpose, block, count: np.zeros(count, np.uint32))
    with pytest.raises(PeerLost):
        columns = {Party.GRID: 3, Party.BANK: 2}
        await share_crossed(session, source, lambda low: numbers[:, low : low + 10], 40, columns)
    assert ended(session, 2)


async def test_own_moments_when_the_sums_with_the_other_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    async def lost(*_: Any) -> Any:
        raise PeerLost("the other party is gone")

    monkeypatch.setattr(hessian, "share_crossed", lost)
    session = Begins()
    table = hessian.Table(np.zeros((5, 2), np.int32), np.zeros((2, 2), np.uint64), 1, None, 1.0, 5)
    with pytest.raises(PeerLost):
        await hessian.share_quadratic(session, SimpleNamespace(), table, np.zeros(1, np.uint64))  # type: ignore[arg-type]
    assert ended(session, 1)


async def test_what_a_step_pulls_back_when_the_line_is_lost() -> None:
    pulls, turns = [asyncio.get_running_loop().create_future()], np.zeros(1, np.uint32)

    async def give(*_: Any) -> None:
        return None

    async def take(*_: Any) -> None:
        pulls.append(asyncio.get_running_loop().create_future())
        raise PeerLost("the other party is gone")

    def masked(*_: Any) -> asyncio.Future[Any]:
        future = asyncio.get_running_loop().create_future()
        future.set_result(turns)
        return future

    async def begin() -> Any:
        return sweep

    sweep: Any = SimpleNamespace(begun=pulls, turns=None, settle=give, give=give, take=take)
    step: Any = SimpleNamespace(spans=lambda: [Span(0, 0, 1), Span(1, 1, 2), Span(2, 2, 3)])
    descent: Any = SimpleNamespace(session=Begins(), _masked_u=masked, _residual=give, abreast=None)
    descent._turns, descent.through = (partial(one, descent) for one in (Descent._turns, Descent.through))
    with pytest.raises(PeerLost):
        await Descent._sweep(descent, step, begin)
    assert [one.cancelled() for one in pulls] == [True, True]

"""The stock that rows are scored from on request: each one is taken within what its desk says, the first as the next."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from types import SimpleNamespace
from typing import Any

import pytest

from common.errors import PlanError, PolicyError
from common.stages import asked
from common.stages.supply import Supply


@pytest.mark.parametrize("seated", [True, False])
async def test_a_stock_is_taken_while_no_other_session_of_the_bank_takes_one(
    seated: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = list[str]()

    @asynccontextmanager
    async def taking() -> AsyncIterator[None]:
        done.append("taking")
        yield
        done.append("taken")

    @asynccontextmanager
    async def stock(*_: Any, reasons: bool) -> AsyncIterator[tuple[Any, Any]]:
        done.append("stock")
        yield None, SimpleNamespace(rows=3, reasons=0)
        done.append("used up")

    async def warm() -> None:
        done.append("warm")

    async def begin(*_: Any) -> Any:
        return SimpleNamespace(warm=warm)

    monkeypatch.setattr("common.stages.supply.scores_ahead", stock)
    monkeypatch.setattr("common.stages.supply.begin_scores", begin)
    home = SimpleNamespace(key=b"")
    desk = SimpleNamespace(taking=taking) if seated else None
    job: Any = SimpleNamespace(session=None, home=home, correlations=None, desk=desk, shelf=None)
    plan: Any = SimpleNamespace(score_bits=5, on_request=3)
    model: Any = SimpleNamespace(closed=True, learner="linear")
    whole = ["taking", "stock", "taken"] if seated else ["stock"]
    async with AsyncExitStack() as stack:
        supply = Supply(job, plan, model, stack)
        await supply.make_room(2)
        assert done == [*whole, "warm"] and supply.left == 3
        supply.left = 1
        await supply.make_room(2)
        assert done == [*whole, "warm", "used up", *whole, "warm"]
    means: Any = SimpleNamespace(closed=True, learner="means")
    async with AsyncExitStack() as stack:
        done.clear()
        with pytest.raises(PlanError, match="not scored on request by models of kind means"):
            await Supply(job, plan, means, stack).make_room(2)
        assert not done  # no stock is spent for it


async def test_a_session_that_asks_for_too_many_rows_that_are_not_scored_ends() -> None:
    grid: Any = object.__new__(asked._Grid)
    grid._job, grid._told = SimpleNamespace(home=SimpleNamespace(policy=SimpleNamespace(max_ids=5))), 0
    for rows in (3, 0, 2):
        grid._allow_told(rows)
    with pytest.raises(PolicyError, match=r"6 rows .* not scored.*at most 5 \(max_ids\)"):
        grid._allow_told(1)

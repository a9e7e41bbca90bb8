"""Sizes of a training: both sides count the same rows, and these are enough for the columns and the batches."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from common.disclosure import Opened
from common.errors import PeerProtocolError, PolicyError, WattScoreError
from common.mpc.session import Kind, Session
from common.party import Party
from common.plan.train import Limits
from common.stages.sizes import check_sizes, exchange_sizes, too_few
from tests.common.stages.tables import LOW
from tests.peers import Trio


async def agree_on_sizes(session: Session, rows: int, train_rows: int, columns: int, limits: Limits) -> int:
    """As the pipeline does where nothing is to be done without."""
    other = await exchange_sizes(session, rows, train_rows, columns)
    check_sizes(train_rows, columns + other, limits)
    assert not too_few(train_rows, columns + other, limits)
    return other


async def sizes(grid: tuple[int, int, int], bank: tuple[int, int, int], limits: Limits, trio: Trio | None = None) -> list[Any]:
    """What each party got or raised, grid first."""
    trio = trio or Trio()
    of = {Party.GRID: grid, Party.BANK: bank}
    calls = [agree_on_sizes(trio.session[party], *of[party], limits) for party in Party]
    return await asyncio.gather(*calls, return_exceptions=True)


async def test_each_party_learns_the_others_number_of_columns() -> None:
    trio = Trio(frozenset({Opened.COUNTS}))
    assert await sizes((100, 70, 3), (100, 70, 5), LOW, trio) == [5, 3]
    assert all(trio.session[party].traffic.sent == {Kind.SHAPE: 24} for party in Party)


@pytest.mark.parametrize("other", [(101, 70, 3), (100, 71, 3)])
async def test_sizes_that_differ_are_the_peers_fault_on_both_sides(other: tuple[int, int, int]) -> None:
    for error in await sizes((100, 70, 3), other, LOW):
        assert type(error) is PeerProtocolError
        assert "[100, 70]" in str(error)
        assert str(list(other[:2])) in str(error)


@pytest.mark.parametrize(
    ("limits", "least"),
    [({"min_rows": 71}, 71), ({"rows_per_column": 20}, 160)],
    ids=["rows", "rows a column"],
)
async def test_too_few_rows_are_refused_with_the_numbers(limits: dict[str, int], least: int) -> None:
    for error in await sizes((100, 70, 3), (100, 70, 5), LOW.model_copy(update=limits)):
        assert type(error) is PolicyError
        assert isinstance(error, WattScoreError)
        assert error.message == "70 training rows are too few for 8 columns"
        assert f"expected at least {least}, got 70" in str(error)


async def test_just_enough_rows_pass() -> None:
    assert await sizes((200, 160, 3), (200, 160, 5), LOW.model_copy(update={"rows_per_column": 20})) == [5, 3]

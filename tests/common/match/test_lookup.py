"""Ids asked for while a session lasts: those of an intersection, and nothing else is seen."""

from __future__ import annotations

import asyncio

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.errors import PeerProtocolError, PolicyError
from common.match.agree import MatchLimits
from common.match.curve import POINT_BYTES
from common.match.lookup import NOT_HERE, Asking, Listed
from common.mpc.session import Kind, Session
from common.party import Party
from tests.peers import Trio

LIMITS = MatchLimits(min_matched=1)
names = st.sets(st.sampled_from([f"E{k}" for k in range(12)]), max_size=8)


def asked(grid: list[str], requests: list[list[str]], trio: Trio | None = None) -> tuple[list[list[int]], list[list[str]]]:
    """The places that the bank finds for each request, and the rows that the grid hears of."""
    sessions = (trio or Trio()).session

    async def run() -> tuple[list[list[int]], list[list[str]]]:
        async def at_grid() -> list[list[str]]:
            listed = await Listed.show(sessions[Party.GRID], pa.array(grid, pa.string()), b"job", LIMITS)
            return [[grid[row] for row in (await listed.answer(len(request))).tolist()] for request in requests]

        async def at_bank() -> list[list[int]]:
            asking, found = await Asking.hear(sessions[Party.BANK], b"job", LIMITS), []
            for request in requests:
                places = await asking.find(request)
                await asking.tell(places)
                found.append(places.tolist())
            return found

        heard, found = await asyncio.gather(at_grid(), at_bank())
        return found, heard

    return asyncio.run(run())


@settings(max_examples=15, deadline=None)
@given(grid=names.filter(bool), requests=st.lists(names.filter(bool), max_size=3))
def test_both_find_the_rows_that_both_hold(grid: set[str], requests: list[set[str]]) -> None:
    given = [sorted(request) for request in requests]
    found, heard = asked(sorted(grid), given)
    for request, places, rows in zip(given, found, heard, strict=True):
        assert [place >= 0 for place in places] == [name in grid for name in request]
        assert rows == [name for name in request if name in grid]


def test_the_grid_sees_no_place_of_a_row_it_lacks_and_the_bank_no_order_of_its_rows() -> None:
    grid, trio = [f"E{k:03d}" for k in range(200)], Trio()
    found, _ = asked(grid, [["E007", "X1", "E100"], ["X2"]], trio)
    told = [values for label, values in trio.peer[Party.BANK].log if label.kind is Kind.ASKED]
    assert told[0][1] == told[1][0] == NOT_HERE and (told[0][[0, 2]] != NOT_HERE).all()
    every, _ = asked(grid, [grid])
    assert every[0] != list(range(200)) and sorted(every[0]) == list(range(200))  # shuffled anew in each session
    assert found[0][0] != 7 or every[0][7] != 7 or found[0][2] != 100


async def test_points_made_ahead_are_those_that_a_request_would_make() -> None:
    sessions, grid = Trio().session, [f"E{k:03d}" for k in range(80)]
    own = {f"E{k:03d}": k for k in range(70)}
    requests = [["E003", "E069"], ["E001", "X1"], sorted(own)]

    async def at_grid() -> None:
        listed = await Listed.show(sessions[Party.GRID], pa.array(grid), b"job", LIMITS)
        for request in requests * 2:
            rows = await listed.answer(len(request))
            assert [grid[row] for row in rows.tolist()] == [name for name in request if name in grid]

    async def at_bank() -> None:
        asking = await Asking.hear(sessions[Party.BANK], b"job", LIMITS)
        for request in requests:
            await asking.tell(await asking.find(request))
        await asking.hide_ahead(own)
        made = asyncio.create_task(asking.hide_ahead(own))  # half of them are made when these are asked for
        for request in requests:
            await asking.tell(await asking.find(request))
        await made

    await asyncio.gather(at_grid(), at_bank())


@pytest.mark.parametrize("places", [[0, 0], [0, 9], [1, 2**63]])
async def test_a_bank_that_asks_for_a_row_twice_or_for_none_of_those_shown_is_refused(places: list[int]) -> None:
    sessions = Trio().session

    async def bank(session: Session) -> None:
        asking = await Asking.hear(session, b"job", LIMITS)
        await asking.find(["A", "B"])
        await session.send(Kind.ASKED, np.array(places, np.uint64))

    async def grid(session: Session) -> None:
        listed = await Listed.show(session, pa.array(["A", "B", "C"]), b"job", LIMITS)
        with pytest.raises(PeerProtocolError, match="twice at once"):
            await listed.answer(2)

    await asyncio.gather(grid(sessions[Party.GRID]), bank(sessions[Party.BANK]))


async def test_points_that_are_none_and_too_many_are_refused() -> None:
    sessions = Trio().session

    async def bank(session: Session) -> None:
        await Asking.hear(session, b"job", LIMITS)
        await session.send(Kind.PSI_POINTS, np.full((1, POINT_BYTES), 2, np.uint8))  # on the twist

    async def grid(session: Session) -> None:
        listed = await Listed.show(session, pa.array(["A"]), b"job", LIMITS)
        with pytest.raises(PeerProtocolError, match="not a point of the curve"):
            await listed.answer(1)

    await asyncio.gather(grid(sessions[Party.GRID]), bank(sessions[Party.BANK]))
    with pytest.raises(PolicyError, match="max_ids = 1"):
        await Listed.show(Trio().session[Party.GRID], pa.array(["A", "B"]), b"job", MatchLimits(max_ids=1, min_matched=1))

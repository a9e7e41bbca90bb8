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
from common.match.curve import POINT_BYTES, validate
from common.match.lookup import Asking, Listed
from common.mpc.session import Kind, Session
from common.party import Party
from tests.peers import Trio

LIMITS = MatchLimits(min_matched=1)
names = st.sets(st.sampled_from([f"E{k}" for k in range(12)]), max_size=8)


def asked(grid: list[str], requests: list[list[str]], trio: Trio | None = None) -> list[list[str]]:
    """The names that the grid finds for each request; empty for one that it lacks."""
    sessions = (trio or Trio()).session

    async def run() -> list[list[str]]:
        async def at_grid() -> list[list[str]]:
            listed = await Listed.show(sessions[Party.GRID], pa.array(grid, pa.string()), b"job", LIMITS)
            return [[grid[row] if row >= 0 else "" for row in (await listed.answer(len(one))).tolist()] for one in requests]

        async def at_bank() -> None:
            asking = await Asking.hear(sessions[Party.BANK], b"job", LIMITS)
            for request in requests:
                await asking.ask(request)

        heard, _ = await asyncio.gather(at_grid(), at_bank())
        return heard

    return asyncio.run(run())


@settings(max_examples=15, deadline=None)
@given(grid=names.filter(bool), requests=st.lists(names.filter(bool), max_size=3))
def test_the_grid_finds_the_rows_that_both_hold_in_the_order_asked(grid: set[str], requests: list[set[str]]) -> None:
    given = [sorted(request) for request in requests]
    assert asked(sorted(grid), given) == [[name if name in grid else "" for name in request] for request in given]


def test_points_are_shuffled_and_of_one_session_alone() -> None:
    """The bank returns them in the order shown; a request is one message, of points that no other session knows."""
    grid, shown, told = [f"E{k:03d}" for k in range(200)], list[bytes](), list[bytes]()
    for _ in range(2):
        trio = Trio()
        assert asked(grid, [["E007", "X1", "E100"], ["X2"]], trio) == [["E007", "", "E100"], [""]]
        (points,) = [values for label, values in trio.peer[Party.GRID].log if label.kind is Kind.PSI_POINTS]
        sent = [values for label, values in trio.peer[Party.BANK].log]
        assert [len(values) for values in sent] == [200, 3, 1]  # what the grid showed, once more hidden, and the requests
        shown.append(points.tobytes())
        told.append(sent[1].tobytes())
    assert shown[0] != shown[1] and told[0] != told[1]

    async def places() -> list[int]:
        sessions = Trio().session
        listed, _ = await asyncio.gather(
            Listed.show(sessions[Party.GRID], pa.array(grid), b"job", LIMITS), Asking.hear(sessions[Party.BANK], b"job", LIMITS)
        )
        return listed.order.tolist()

    orders = [asyncio.run(places()) for _ in range(2)]
    assert orders[0] != orders[1] and sorted(orders[0]) == list(range(200)) != orders[0]


async def test_points_made_ahead_are_those_that_a_request_would_make() -> None:
    sessions, grid = Trio().session, [f"E{k:03d}" for k in range(80)]
    own = {f"E{k:03d}": k for k in range(70)}
    requests = [["E003", "E069"], ["E001", "X1"], sorted(own)]

    async def at_grid() -> None:
        listed = await Listed.show(sessions[Party.GRID], pa.array(grid), b"job", LIMITS)
        for request in requests * 2:
            rows = await listed.answer(len(request))
            assert [grid[row] if row >= 0 else "" for row in rows.tolist()] == [
                name if name in grid else "" for name in request
            ]

    async def at_bank() -> None:
        asking = await Asking.hear(sessions[Party.BANK], b"job", LIMITS)
        for request in requests:
            await asking.ask(request)
        await asking.hide_ahead(own)
        made = asyncio.create_task(asking.hide_ahead(own))  # half of them are made when these are asked for
        for request in requests:
            await asking.ask(request)
        await made

    await asyncio.gather(at_grid(), at_bank())


async def test_a_bank_that_asks_for_a_row_twice_at_once_is_refused() -> None:
    sessions = Trio().session

    async def bank(session: Session) -> None:
        await (await Asking.hear(session, b"job", LIMITS)).ask(["A", "B", "A"])

    async def grid(session: Session) -> None:
        listed = await Listed.show(session, pa.array(["A", "B", "C"]), b"job", LIMITS)
        with pytest.raises(PeerProtocolError, match="the same point twice"):
            await listed.answer(3)

    await asyncio.gather(grid(sessions[Party.GRID]), bank(sessions[Party.BANK]))


async def test_a_bank_that_returns_two_points_alike_is_refused() -> None:
    sessions = Trio().session

    async def bank(session: Session) -> None:
        await session.receive(Kind.PSI_COUNT, np.uint64, (1,))
        points = await session.receive(Kind.PSI_POINTS, np.uint8, (2, POINT_BYTES))
        await session.send(Kind.PSI_REPLIES, points[[0, 0]])

    async def grid(session: Session) -> None:
        with pytest.raises(PeerProtocolError, match="the same point twice"):
            await Listed.show(session, pa.array(["A", "B"]), b"job", LIMITS)

    await asyncio.gather(grid(sessions[Party.GRID]), bank(sessions[Party.BANK]))


async def test_a_row_is_not_asked_for_twice_by_points_that_differ_in_low_order() -> None:
    """(0, 0) has order 2, and u of a point's sum with it is 1 / u: another point on the curve, with the same product."""
    sessions = Trio().session

    async def bank(session: Session) -> None:
        asking = await Asking.hear(session, b"job", LIMITS)
        (point,) = await asking._points(["B"])
        twin = pow(int.from_bytes(point.tobytes(), "little"), -1, 2**255 - 19).to_bytes(32, "little")
        points = np.stack([point, np.frombuffer(twin, np.uint8)])
        validate(points)
        await session.send(Kind.PSI_POINTS, points)

    async def grid(session: Session) -> None:
        listed = await Listed.show(session, pa.array(["A", "B", "C"]), b"job", LIMITS)
        with pytest.raises(PeerProtocolError, match="the same point twice"):
            await listed.answer(2)

    await asyncio.gather(grid(sessions[Party.GRID]), bank(sessions[Party.BANK]))


async def test_points_of_no_row_find_none_and_those_of_low_order_and_too_many_are_refused() -> None:
    sessions = Trio().session

    async def bank(session: Session) -> None:
        await Asking.hear(session, b"job", LIMITS)
        for number in (2, 1):  # on the twist; of low order
            await session.send(Kind.PSI_POINTS, np.array([[number] + [0] * 31], np.uint8))

    async def grid(session: Session) -> None:
        listed = await Listed.show(session, pa.array(["A"]), b"job", LIMITS)
        assert (await listed.answer(1)).tolist() == [-1]
        with pytest.raises(PeerProtocolError, match="low order"):
            await listed.answer(1)

    await asyncio.gather(grid(sessions[Party.GRID]), bank(sessions[Party.BANK]))
    with pytest.raises(PolicyError, match="max_ids = 1"):
        await Listed.show(Trio().session[Party.GRID], pa.array(["A", "B"]), b"job", MatchLimits(max_ids=1, min_matched=1))


async def test_points_shown_that_are_none_are_refused_by_the_bank() -> None:
    sessions = Trio().session

    async def grid(session: Session) -> None:
        await session.send(Kind.PSI_COUNT, np.array([1], np.uint64))
        await session.send(Kind.PSI_POINTS, np.full((1, POINT_BYTES), 2, np.uint8))  # on the twist

    async def bank(session: Session) -> None:
        with pytest.raises(PeerProtocolError, match="not a point of the curve"):
            await Asking.hear(session, b"job", LIMITS)

    await asyncio.gather(grid(sessions[Party.GRID]), bank(sessions[Party.BANK]))

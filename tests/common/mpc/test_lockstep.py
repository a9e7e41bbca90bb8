"""Computations side by side: one message a step, each lane its own values, an error of one ends all."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial

import numpy as np
import pytest

from common.errors import LocalProtocolError
from common.mpc.lockstep import Lockstep, Rounds
from common.mpc.session import Kind, Session
from common.party import Party
from tests.patience import patience
from tests.peers import Trio

LANES = 3


async def both(trio: Trio, work: Callable[[int, Rounds], Awaitable[list[int]]]) -> dict[Party, list[list[int]]]:
    async def side(session: Session) -> list[list[int]]:
        return await Lockstep(session, LANES).run([partial(work, lane) for lane in range(LANES)])

    found = await asyncio.gather(*(side(trio.session[party]) for party in Party))
    return dict(zip(Party, found, strict=True))


async def test_what_lanes_exchange_in_a_step_is_one_message() -> None:
    async def work(lane: int, rounds: Rounds) -> list[int]:
        mine = np.full((lane + 1, 2), 10 * rounds.party.index + lane, np.uint32)
        theirs = await rounds.exchange(Kind.MASKED_COMPARED, mine)
        return [*theirs.shape, int(theirs[0, 0])]

    trio = Trio()
    found = await both(trio, work)
    assert found[Party.GRID] == [[1, 2, 10], [2, 2, 11], [3, 2, 12]]
    assert found[Party.BANK] == [[1, 2, 0], [2, 2, 1], [3, 2, 2]]
    assert [(label.kind, len(values)) for label, values in trio.peer[Party.GRID].log] == [(Kind.MASKED_COMPARED, 12)]


async def test_in_one_step_some_lanes_send_and_others_receive() -> None:
    async def work(lane: int, rounds: Rounds) -> list[int]:
        if (lane % 2 == 0) is (rounds.party is Party.GRID):
            await rounds.send(Kind.MASKED_BRANCH, np.full(2, lane, np.uint8))
            return []
        return (await rounds.receive(Kind.MASKED_BRANCH, np.uint8, (2,))).tolist()

    found = await both(Trio(), work)
    assert found == {Party.GRID: [[], [1, 1], []], Party.BANK: [[0, 0], [], [2, 2]]}


async def test_a_step_that_all_lanes_only_receive_sends_nothing() -> None:
    async def work(lane: int, rounds: Rounds) -> list[int]:
        if rounds.party is Party.GRID:
            await rounds.send(Kind.MASKED_BRANCH, np.full(1, lane, np.uint8))
            return []
        return (await rounds.receive(Kind.MASKED_BRANCH, np.uint8, (1,))).tolist()

    trio = Trio()
    found = await both(trio, work)
    assert found[Party.BANK] == [[0], [1], [2]] and trio.peer[Party.BANK].log == []


async def test_lanes_at_different_steps_are_found_and_an_error_ends_all() -> None:
    async def apart(lane: int, rounds: Rounds) -> list[int]:
        kind = Kind.MASKED_BRANCH if lane else Kind.MASKED_NODES
        await rounds.send(kind, np.zeros(1, np.uint8))
        return []

    with pytest.raises(LocalProtocolError, match="different steps"):
        await both(Trio(), apart)

    async def failing(lane: int, rounds: Rounds) -> list[int]:
        if lane == 1:
            raise ValueError("lane 1")
        await rounds.send(Kind.MASKED_BRANCH, np.zeros(1, np.uint8))
        return []

    with pytest.raises(ValueError, match="lane 1"):
        await asyncio.wait_for(both(Trio(), failing), patience(30.0))

"""Who may bring the stream of a run of rows: the expected party, by the key of this run and attempt, once."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from common.errors import PeerLost, PeerProtocolError
from common.party import Identity
from common.wire import rows
from common.wire.lanes import Between, Purpose, Wish, joining_key, lane_key
from common.wire.peer import Counter, run_greeting
from common.wire.peer_pb2 import Hello
from common.wire.rows import Gate, Road, Roads

BANK, OTHER = Identity("acme", "bank-party"), Identity("evil", "bank-party")
OURS, THEIRS = Wish(4, bytes(16), True), Wish(3, bytes(range(16)), False, (7011, 7012))
JOB, DIGEST = "train-1", bytes(32)


def roads(attempt: int = 0) -> Roads:
    return Roads.agreed(JOB, attempt, DIGEST, OURS, THEIRS, str(BANK))


class Caller:
    """A call of an identity; what is written to it is kept."""

    def __init__(self, identity: Identity) -> None:
        self.identity, self.written = identity, list[Any]()

    async def write(self, message: Any) -> None:
        self.written.append(message)

    async def read(self) -> Any:
        return await asyncio.Future[Any]()


def hello(road: Road, **other: Any) -> Hello:
    given = {"attempt": road.attempt, "lanes": road.lanes, "run": road.run, "key": bytes.fromhex(road.key)} | other
    return run_greeting(JOB, DIGEST, given["attempt"], given["lanes"], given["run"], given["key"]).hello


def test_runs_are_agreed_only_where_a_party_has_workers_and_both_wish_for_lanes() -> None:
    assert roads().lanes == 3
    assert Roads.agreed(JOB, 0, DIGEST, Wish(4, bytes(16)), Wish(3, bytes(16))).lanes == 0
    assert Roads.agreed(JOB, 0, DIGEST, OURS, Wish()).lanes == 0
    assert [roads().run(run, 3).port for run in (1, 2, 3)] == [7011, 7012, 7011]
    assert Wish.fresh(1, True, (7011,)) == Wish()


def test_no_key_is_that_of_another_run_attempt_job_or_purpose() -> None:
    keys = [lane_key(OURS, THEIRS, job, a, run, what) for job in "ab" for a in (0, 1) for run in (1, 2) for what in Between]
    keys += [joining_key(bytes(32), job, a, 0, run, what) for job in "ab" for a in (0, 1) for run in (1, 2) for what in Purpose]
    assert len(set(keys)) == len(keys)


def test_what_is_said_of_a_road_shows_no_key() -> None:
    road = roads().run(1, 3)
    assert road.key not in repr(road) and "nonce" not in repr(roads())


async def test_the_expected_one_is_taken_once_and_nobody_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows, "EARLY", 0.05)
    gate, road = Gate(), roads().run(1, 3)
    meeting = asyncio.ensure_future(gate.meet(road, Counter()))
    await asyncio.sleep(0)
    wrong = [
        (hello(road), OTHER),
        (hello(road, key=bytes(32)), BANK),
        (hello(road, key=bytes.fromhex(roads().run(2, 3).key)), BANK),
        (hello(road, key=bytes.fromhex(roads(1).run(1, 3).key)), BANK),
        (hello(road, attempt=1), BANK),
        (hello(road, run=2), BANK),
        (hello(road, lanes=2), BANK),
    ]
    for said, who in wrong:
        call: Any = Caller(who)
        with pytest.raises(PeerProtocolError, match="none that is waited for"):
            await gate.take(said, call)
    assert not meeting.done()
    right: Any = Caller(BANK)
    serving = asyncio.ensure_future(gate.take(hello(road), right))
    channel = await meeting
    assert right.written[0].hello.row_lane == 1 and not right.written[0].hello.key
    again: Any = Caller(BANK)
    with pytest.raises(PeerProtocolError, match="none that is waited for"):
        await gate.take(hello(road), again)
    await channel.stop()
    gate.leave(road)
    await serving
    with pytest.raises(PeerProtocolError, match="none that is waited for"):
        await gate.take(hello(road), right)


async def test_one_that_comes_early_waits() -> None:
    gate, road = Gate(), roads().run(2, 3)
    early: Any = Caller(BANK)
    serving = asyncio.ensure_future(gate.take(hello(road), early))
    await asyncio.sleep(0)
    channel = await gate.meet(road, Counter())
    await channel.stop()
    gate.leave(road)
    await serving


async def test_who_waits_in_vain_hears_of_it_by_its_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows, "GATHER", 0.01)
    with pytest.raises(PeerLost, match="the bank, run 3 of 3 did not come"):
        await Gate().meet(roads().run(3, 3), Counter())

"""Matching that memory does not suffice for is refused before anything is sent; what it takes is what is said."""

from __future__ import annotations

import asyncio
import tracemalloc
from collections.abc import Callable
from functools import partial
from typing import Any

import pyarrow as pa
import pytest

from common.coordinator.lanes import Lanes
from common.coordinator.matching import Matching
from common.daemon import matching
from common.daemon.matching import AIDED_BYTES, ECDH_BYTES, choose_match
from common.disclosure import Opened
from common.errors import ConfigError, PeerLost
from common.match import aided, ecdh
from common.match.agree import MatchLimits
from common.match.aided import make_tags
from common.mpc.session import Session
from common.party import Party
from common.plan.train import TrainPlan
from common.wire.lanes import Purpose
from common.wire.peer import Counter, read_greeting
from common.wire.peer_pb2 import Frame
from tests.channels import MemoryChannel, memory_pair
from tests.common.daemon.test_dealer_line import Call, Line
from tests.patience import patience

LIMITS = MatchLimits(min_matched=1)
PLAN = TrainPlan.model_validate({"grid": {"dataset": "g"}, "bank": {"dataset": "b"}, "matching": "ecdh"})


def ids(count: int) -> pa.StringArray:
    return pa.array([f"91E{k:015d}" for k in range(count)])


def match(session: Session, count: int) -> Any:
    return choose_match(PLAN, "job-1", None, Counter())(session, ids(count), domain=b"job-1", limits=LIMITS)


def session(party: Party, end: MemoryChannel) -> Session:
    return Session(party, end, allowed=frozenset(Opened))


async def test_more_ids_than_there_is_memory_for_are_refused_before_anything_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(matching, "free_memory", lambda: 100 * ECDH_BYTES)
    here, there = memory_pair()
    with pytest.raises(ConfigError, match="matching 101 ids takes about 0 MiB of memory, and 0 MiB are free") as caught:
        await match(session(Party.GRID, here), 101)
    assert not any(digit in caught.value.public for digit in "0123456789"), "how many ids there are is not told by it"
    assert there._in.empty()
    found = await asyncio.gather(*(match(session(p, end), 100) for p, end in zip(Party, memory_pair(), strict=True)))
    assert [len(rows) for rows in found] == [100, 100]


def grown(work: Any, few: int, many: int) -> float:
    """Bytes that each further one takes at most."""
    peaks = []
    for count in (few, many):
        tracemalloc.start()
        work(count)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    return float(peaks[1] - peaks[0]) / (many - few)


def test_what_matching_takes_is_what_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = ids(1_200_000)
    assert 0.5 < grown(lambda n: make_tags(texts[:n], b"k" * 16), 700_000, 1_200_000) / AIDED_BYTES < 1.0

    async def here(work: Callable[..., Any], *given: Any) -> Any:
        return work(*given)

    # Side by side in threads, what one party holds for a moment counts or not as the machine has it.
    monkeypatch.setattr(asyncio, "to_thread", here)

    async def both(count: int) -> None:
        own = partial(ecdh.match_ids, domain=b"d", limits=LIMITS)
        await asyncio.gather(*(own(session(p, end), ids(count)) for p, end in zip(Party, memory_pair(), strict=True)))

    asyncio.run(both(500))  # what is made once
    assert 0.5 < grown(lambda n: asyncio.run(both(n)), 500, 2500) / 2 / ECDH_BYTES < 1.0


NEUTRAL = PLAN.model_copy(update={"matching": "neutral"})


async def over(lanes: int, monkeypatch: pytest.MonkeyPatch) -> list[list[int]]:
    """Which rows both parties find, over so many streams to the coordinator."""
    monkeypatch.setattr(aided.os, "urandom", lambda size: bytes(size))  # so that two runs have the same tags
    counters = {party: (Counter(), Counter()) for party in Party}
    served = Matching({party: counters[party][1] for party in Party}, 1000)
    streams, serving = {party: Line() for party in Party}, []
    known = Lanes(4, Purpose.MATCH)

    async def here(party: Party, place: int) -> None:
        """The coordinator's end of one stream of a party."""
        while len(streams[party].far) <= place:
            await asyncio.sleep(0)
        call: Any = Call(streams[party].far[place])
        hello = await read_greeting(call, party.value, 5.0)
        assert (hello.lane, hello.line) == (place, 3)
        counters[party][1].received += Frame(hello=hello).ByteSize()
        if place:
            await known.serve(party, call, hello)
            return
        try:
            await served.serve(party, await known.first(party, call, hello, party.value))
        finally:
            await known.end(party)

    running = asyncio.create_task(served.run())
    for party in Party:
        serving += [asyncio.create_task(here(party, place)) for place in range(lanes)]

    async def there(party: Party, end: MemoryChannel, first: int) -> list[int]:
        connection: Any = streams[party]
        match = choose_match(NEUTRAL, "job-1", connection, counters[party][0], 2, 3, lanes)
        own = pa.array([f"91E{k:015d}" for k in range(first, first + 700)])
        return list(await match(session(party, end), own, domain=b"job-1", limits=LIMITS))

    found = await asyncio.gather(*(there(p, end, 300 * p.index) for p, end in zip(Party, memory_pair(), strict=True)))
    await asyncio.gather(running, *serving)
    for party in Party:
        near, far = counters[party]
        assert near.sent == far.received and len(streams[party].far) == lanes
        assert all(one.closed for one in streams[party].apart_of) and len(streams[party].apart_of) == lanes - 1
    return found


async def test_ids_are_matched_over_several_lanes_as_over_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("common.wire.codec.LEAST_CHUNK", 64)
    one = await over(1, monkeypatch)
    assert len(one[0]) == len(one[1]) == 400 and min(one[0]) == 300 and min(one[1]) == 0
    for lanes in (2, 4):
        assert await over(lanes, monkeypatch) == one


async def test_a_lane_of_tags_that_breaks_ends_the_matching_and_is_named() -> None:
    line, counter = Line(), Counter()
    connection: Any = line
    known, (near, far) = Lanes(2, Purpose.MATCH), memory_pair()
    match = choose_match(NEUTRAL, "job-1", connection, counter, lanes=2)
    mine = asyncio.ensure_future(match(session(Party.GRID, near), ids(5), domain=b"d", limits=LIMITS))
    other = asyncio.ensure_future(aided._agree_on_key(session(Party.BANK, far), 5, b"d", LIMITS))

    async def call(place: int) -> tuple[Any, Any]:
        while len(line.far) <= place:
            await asyncio.sleep(0)
        found: Any = Call(line.far[place])
        return found, await read_greeting(found, "the grid", 5.0)

    first = asyncio.create_task(known.first("seat", *(await call(0)), "the grid"))
    serving = asyncio.create_task(known.serve("seat", *(await call(1))))
    await first
    await line.far[1].out.put(PeerLost("no connection to the coordinator"))
    with pytest.raises(PeerLost, match=r"no connection to the coordinator \(lane 1 of 2\)"):
        await asyncio.wait_for(mine, patience(5))
    await other
    await known.end("seat")
    await serving

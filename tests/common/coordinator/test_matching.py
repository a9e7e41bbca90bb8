"""Matching through the coordinator's handlers: what it takes, from whom, and that what goes wrong ends the job by name."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from common.coordinator.matching import Matching
from common.daemon.matching import further_hello
from common.errors import IdentityError, JobStateError, PeerLost, PeerProtocolError, PlanError, PolicyError
from common.mpc.session import Array, Kind, Round
from common.party import Identity, Party
from common.wire import party_pb2
from common.wire.codec import Assembler, encode
from common.wire.frames import unpack
from common.wire.lanes import Wish, joining_key
from common.wire.peer import PROTOCOL, Counter, greeting, lane_greeting
from common.wire.peer_pb2 import Frame, Hello
from tests.common.coordinator.conftest import STALL
from tests.common.coordinator.office import PARTY, Caller, Office, office
from tests.common.wire.streams import duplex
from tests.patience import patience

BOTH = 3  # tags that both bring; each has one more


def tags(party: Party) -> Array:
    return np.array([*((number, 1) for number in range(BOTH)), (10 + party.index, 1)], np.uint64)


def frames(number: int, kind: Kind, values: Array) -> list[Any]:
    return list(encode(Round(kind, number), values))


def joined(here: Office, party: Party, job: str, *said: Any) -> Caller:
    """A party's stream of tags, on which it has greeted and said this."""
    caller = Caller(PARTY[party])
    for message in (greeting(job, b""), *said):
        caller.say(message)
    here.ended[caller] = asyncio.create_task(here.coordinator.match(None, caller))  # type: ignore[arg-type]
    return caller


def sizes(own: int = BOTH + 1, other: int = BOTH + 1) -> list[Any]:
    return frames(1, Kind.PSI_SIZES, np.array([own, other], np.uint64))


def good(party: Party) -> list[Any]:
    return [*sizes(), *frames(2, Kind.PSI_TAGS, tags(party))]


def answer(caller: Caller) -> list[int]:
    """The bits that a party was told."""
    (frame,) = caller.heard
    done = Assembler().add(unpack(frame.SerializeToString()))
    assert done is not None and done[0] == Round(Kind.PSI_COMMON, 1)
    return [int(bit) for bit in np.unpackbits(done[1], count=BOTH + 1)]


async def ended(here: Office, caller: Caller) -> BaseException | None:
    await asyncio.wait([here.ended[caller]], timeout=patience(5))
    return here.ended[caller].exception()


async def test_both_are_told_and_every_byte_is_counted(tmp_path: Path) -> None:
    async with office(tmp_path) as here:
        job, *_ = await here.running()
        callers = {party: joined(here, party, job, *good(party)) for party in Party}
        await here.until(lambda: all(caller.heard for caller in callers.values()))
        for caller in callers.values():
            assert answer(caller) == [1, 1, 1, 0]
            caller.say(None)
        for caller in callers.values():
            assert await ended(here, caller) is None
        drive = here.coordinator._drive
        assert drive is not None
        for party in Party:
            sent = [*good(party), greeting(job, b"")]
            assert drive.counters[party.value].received == sum(message.ByteSize() for message in sent)
            assert drive.counters[party.value].sent == sum(frame.ByteSize() for frame in callers[party].heard)
        assert not here.board.get(job).state.final


def over_lanes(here: Office, party: Party, job: str, wish: Wish, said: Sequence[Any]) -> list[Caller]:
    """The same over as many streams as are wished for, further ones first: the first is told who has come."""
    first = joined(here, party, job)
    first._said.get_nowait()
    first.say(greeting(job, b"", wish=wish))
    callers = [first, *(further(here, party, further_hello(job, 0, 0, wish, lane)) for lane in range(1, wish.lanes))]
    for place, message in enumerate(said):
        callers[place % wish.lanes].say(message)
    return callers


def further(here: Office, party: Party, hello: Frame) -> Caller:
    """A stream that begins so once the coordinator has answered the first."""
    caller = Caller(PARTY[party])
    caller.say(hello)

    async def come() -> None:
        drive = here.coordinator._drive
        assert drive is not None
        await here.until(lambda: (party, 0) in drive._match_lanes)
        await here.coordinator.match(None, caller)  # type: ignore[arg-type]

    here.ended[caller] = asyncio.create_task(come())
    return caller


@pytest.mark.parametrize("lanes", [2, 3])
async def test_tags_over_several_lanes_are_those_over_one(tmp_path: Path, lanes: int) -> None:
    async with office(tmp_path, lanes=4) as here:
        job, *_ = await here.running()
        grid = over_lanes(here, Party.GRID, job, wish := Wish.fresh(lanes), good(Party.GRID))
        bank = joined(here, Party.BANK, job, *good(Party.BANK))  # each party's lanes are its own affair
        await here.until(lambda: bool(bank.heard) and len(grid[0].heard) == 2)
        assert grid[0].heard.pop(0) == lane_greeting(job, b"", 0, lanes, 0)
        assert answer(grid[0]) == answer(bank) == [1, 1, 1, 0]
        for caller in (*grid, bank):
            caller.say(None)
        for caller in (*grid, bank):
            assert await ended(here, caller) is None
        drive = here.coordinator._drive
        assert drive is not None
        hellos = [greeting(job, b"", wish=wish), *(further_hello(job, 0, 0, wish, lane) for lane in range(1, lanes))]
        sent = [*good(Party.GRID), *hellos]
        assert drive.counters["grid"].received == sum(message.ByteSize() for message in sent)
        assert not here.board.get(job).state.final


async def test_what_ends_a_matching_is_told_on_every_lane(tmp_path: Path) -> None:
    async with office(tmp_path, lanes=4) as here:
        job, *_ = await here.running()
        wish = Wish.fresh(3)
        grid, bank = (
            over_lanes(here, party, job, wish, said) for party, said in ((Party.GRID, good(Party.GRID)), (Party.BANK, sizes()))
        )
        await here.until(lambda: all(callers[0].heard for callers in (grid, bank)))
        bank[2].say(PeerLost("the bank's line broke"))
        await job_fails(here, job, PeerLost, "the bank's line broke (lane 2 of 3)")
        for caller in (*grid, *bank):
            error = await ended(here, caller)
            assert isinstance(error, PeerLost) and "lane 2 of 3" in str(error)


async def test_who_comes_to_match_once_the_job_has_ended_hears_that_and_not_that_it_came_twice() -> None:
    for came in (0, 1):
        matching = Matching({party: Counter() for party in Party}, 10)
        serving = [asyncio.create_task(matching.serve(party, duplex()[0])) for party in list(Party)[:came]]
        running = asyncio.create_task(matching.run())
        while [matching.joined(party) for party in Party].count(True) < came:
            await asyncio.sleep(0)
        await asyncio.sleep(0)
        running.cancel()
        await asyncio.wait({running}, timeout=patience(10))
        for party in list(Party)[came:]:
            assert not matching.joined(party)
            with pytest.raises(JobStateError, match=rf"the job has ended before the {party.value} came to match"):
                await asyncio.wait_for(matching.serve(party, duplex()[0]), patience(10))
        for party in list(Party)[:came]:
            with pytest.raises(PlanError, match="joined the matching twice"):
                await matching.serve(party, duplex()[0])
        await asyncio.wait_for(asyncio.gather(*serving), patience(10))


async def test_who_may_add_a_lane_to_a_partys_tags(tmp_path: Path) -> None:
    async with office(tmp_path, lanes=2) as here:
        job, *_ = await here.running()
        wish, more = Wish.fresh(2), Wish.fresh(3)
        first = joined(here, Party.GRID, job)
        first._said.get_nowait()
        first.say(greeting(job, b"", wish=more))
        assert "more lanes than it was told" in str(await ended(here, first))
        first, bare = (joined(here, Party.GRID, job) for _ in range(2))
        for caller, hello in ((first, greeting(job, b"", wish=wish)), (bare, greeting(job, b""))):
            caller._said.get_nowait()
            caller.say(hello)
        bare._said.get_nowait()
        bare.say(Frame(hello=Hello(protocol=PROTOCOL, job=job, lanes=2)))
        assert "with no nonce" in str(await ended(here, bare))
        dealers = further_hello(job, 0, 0, wish, 1)
        dealers.hello.key = joining_key(wish.nonce, job, 0, 0, 1)  # of a line that is dealt by
        for party, hello in (
            (Party.GRID, further_hello(job, 0, 0, more, 1)),  # who does not know the nonce
            (Party.GRID, further_hello(job, 0, 0, wish, 2)),
            (Party.GRID, dealers),
        ):
            assert "none that is waited for" in str(await ended(here, further(here, party, hello)))
        assert "joined the matching twice" in str(await ended(here, joined(here, Party.GRID, job)))
        caller = Caller(PARTY[Party.BANK])
        caller.say(further_hello(job, 0, 0, wish, 1))
        with pytest.raises(PeerProtocolError, match=r"no line of job .* waits for lanes here"):
            await here.coordinator.match(None, caller)  # type: ignore[arg-type]


async def test_a_party_is_told_of_lanes_for_its_tags_only_where_it_brings_some(tmp_path: Path) -> None:
    for place, (lanes, matching, told) in enumerate(((1, "neutral", 0), (5, "neutral", 5), (5, "ecdh", 0))):
        async with office(tmp_path / str(place), lanes=lanes) as here:
            grid, bank = await here.attend(Party.GRID), await here.attend(Party.BANK)
            job = await here.submit(matching=matching)
            for caller in (grid, bank):
                await caller.hears("offer")
                caller.say(party_pb2.FromParty(accept=party_pb2.Accept(job=job)))
            for caller in (grid, bank):
                assert (await caller.hears("start")).start.match_lanes == told


async def job_fails(here: Office, job: str, kind: type[Exception], says: str) -> None:
    fault = (await here.final(job)).fault
    assert (fault.kind, fault.origin) == (kind.__name__, "coordinator") and says in fault.message


def then(values: Array) -> list[Any]:
    """Sizes as they should be, and this for tags."""
    return [*sizes(), *frames(2, Kind.PSI_TAGS, values)]


OWN = tags(Party.BANK)
WRONG: dict[str, tuple[list[Any], type[Exception], str]] = {
    "too many": (sizes(own=101), PolicyError, "the bank brings 101 ids, more than max_ids = 100 of the coordinator"),
    "more in a piece": (then(np.ones((5, 2), np.uint64)), PeerProtocolError, "the bank sent another number of tags"),
    "more at the end": ([*then(OWN), *frames(3, Kind.PSI_TAGS, OWN)], PeerProtocolError, "the bank sent more than it said"),
    "a large piece": (then(np.zeros((65_537, 2), np.uint64))[:2], PeerProtocolError, "a frame claims an impossible size"),
    "unsorted": (then(OWN[::-1].copy()), PeerProtocolError, "the bank sent tags that do not ascend"),
    "a broken stream": ([*sizes(), PeerLost("the bank's line broke")], PeerLost, "the bank's line broke"),
    "an early end": ([*sizes(), None], PeerLost, "the bank closed the connection"),
    "other frames": ([Frame()], PeerProtocolError, "a frame without a known payload"),
}


@pytest.mark.parametrize("case", WRONG)
async def test_what_a_party_does_wrong_ends_the_job_and_both_streams(tmp_path: Path, case: str) -> None:
    said, kind, says = WRONG[case]
    async with office(tmp_path, max_ids=100) as here:
        job, *_ = await here.running()
        grid, bank = joined(here, Party.GRID, job, *good(Party.GRID), None), joined(here, Party.BANK, job, *said)
        await job_fails(here, job, kind, says)
        for caller in (grid, bank):
            error = await ended(here, caller)
            assert isinstance(error, kind) and says in str(error)


async def test_a_party_that_falls_silent_in_the_middle_ends_the_job(tmp_path: Path, stall_passes: Callable[[], None]) -> None:
    async with office(tmp_path, stall_timeout=STALL) as here:
        job, *_ = await here.running()
        callers = [joined(here, Party.GRID, job, *good(Party.GRID)), joined(here, Party.BANK, job, *sizes())]
        stall_passes()
        stall_passes()  # the first one may have been the time in which they came
        await job_fails(here, job, PeerLost, "no party has reported anything")
        for caller in callers:
            assert await ended(here, caller) is None  # their ends are told why on the other stream


async def test_who_may_not_come_and_when(tmp_path: Path) -> None:
    async with office(tmp_path) as here:
        job, *_ = await here.running()
        joined(here, Party.GRID, job)
        await asyncio.sleep(0)
        for caller, kind, says in (
            (joined(here, Party.GRID, job), PlanError, "the grid joined the matching twice"),
            (joined(here, Party.BANK, "train-0"), JobStateError, "job train-0 is not running"),
        ):
            error = await ended(here, caller)
            assert isinstance(error, kind) and says in str(error)
        stranger: Any = Caller(Identity("acme", "client"))
        stranger.say(greeting(job, b""))
        with pytest.raises(IdentityError, match="is not a party here"):
            await here.coordinator.match(None, stranger)
        mute: Any = Caller(PARTY[Party.BANK])
        mute.say(party_pb2.Demand(join=party_pb2.Join(job=job)))
        with pytest.raises(PeerProtocolError, match="did not begin with a greeting"):
            await here.coordinator.match(None, mute)


async def test_a_job_matched_between_the_two_has_no_such_stream(tmp_path: Path) -> None:
    async with office(tmp_path) as here:
        job, *_ = await here.running(matching="ecdh")
        error = await ended(here, joined(here, Party.GRID, job, *good(Party.GRID)))
        assert isinstance(error, PlanError) and "does not have the coordinator match" in str(error)

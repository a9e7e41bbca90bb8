"""How the two parties' streams of one job find each other."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

import numpy as np
import pytest

from bank_party import dial as dialling
from bank_party.dial import Dial
from common.errors import IdentityError, PeerLost, PeerProtocolError, PlanError, WattScoreError
from common.mpc.session import Kind, Round
from common.party import Identity
from common.wire import lanes as lanes_of_jobs
from common.wire.lanes import Wish, lane_key
from common.wire.peer import Counter, Stands, greeting, lane_greeting
from common.wire.peer_pb2 import Abort, Frame
from common.wire.status import to_fault
from grid_party import listen as waiting
from grid_party.listen import Door
from tests.patience import patience

BANK, OTHER = Identity("acme", "bank"), Identity("acme", "auditor")
DIGEST = bytes(range(32))


class Blank:
    """Logs that say nothing, and ask nothing."""

    def stands(self) -> Stands:
        return Stands()

    def is_late(self, theirs: Stands) -> bool:
        return False

    was_late = is_late

    def take(self, theirs: Stands) -> None:
        assert theirs == Stands()


def account() -> Any:
    return Blank()


class End:
    """One end of a stream: reads what it was given, remembers what is written."""

    def __init__(self, frames: Iterable[Frame], identity: Identity = BANK) -> None:
        self.identity, self.written, self.closed = identity, list[Any](), False
        self._frames: asyncio.Queue[Frame | None] = asyncio.Queue()
        for frame in frames:
            self._frames.put_nowait(frame)

    async def read(self) -> Frame | None:
        return await self._frames.get()

    async def write(self, frame: Any) -> None:
        self.written.append(frame)

    async def close(self) -> None:
        self.closed = True


class Grid:
    """A connection whose streams are `End`s."""

    def __init__(self, *frames: Frame) -> None:
        self.end, self.further, self.closed = End(frames), list[Grid](), False

    def stream(self, _: Any) -> End:
        return self.end

    def apart(self) -> Grid:
        """Another, over whose stream only a test says something."""
        self.further.append(Grid())
        return self.further[-1]

    async def close(self) -> None:
        self.closed = True


def dial(*frames: Frame) -> tuple[Dial, End]:
    grid: Any = Grid(*frames)
    return Dial(grid), grid.end


def call(*frames: Frame, identity: Identity = BANK) -> Any:
    return End(frames, identity)


async def test_they_meet_and_the_stream_lasts_as_long_as_the_job() -> None:
    door = Door(BANK)
    door.expect("j")
    caller = call(greeting("j", DIGEST))
    serving = asyncio.create_task(door.exchange(None, caller))
    channel = await door.meet("j", DIGEST, Counter(), account())
    assert caller.written == [greeting("j", DIGEST)]
    await channel.send(Round(Kind.SHAPE, 1), np.ones(2, np.uint64))
    assert caller.written[1].kind == "shape" and caller.written[1].block.shape == [2] and not serving.done()
    await channel.stop()
    door.forget("j")
    await asyncio.wait_for(serving, patience(5))


async def test_the_bank_dials_and_closes_when_the_job_is_over() -> None:
    bank, end = dial(greeting("j", DIGEST))
    bank.expect("j")
    channel = await bank.meet("j", DIGEST, Counter(), account())
    assert end.written == [greeting("j", DIGEST)]
    await channel.stop()
    bank.forget("j")
    bank.forget("j")  # as often as it likes
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert end.closed


async def test_another_plan_is_refused_by_both() -> None:
    door = Door(BANK)
    door.expect("j")
    serving = asyncio.create_task(door.exchange(None, call(greeting("j", bytes(32)))))
    with pytest.raises(PlanError, match=r"the bank has another plan for job j .*do not trust it"):
        await door.meet("j", DIGEST, Counter(), account())
    door.forget("j")
    await serving
    bank, _ = dial(greeting("j", bytes(32)))
    with pytest.raises(PlanError, match="the grid has another plan for job j"):
        await bank.meet("j", DIGEST, Counter(), account())


async def test_only_the_bank_and_only_for_a_job_that_waits() -> None:
    door = Door(BANK)
    door.expect("j")
    with pytest.raises(IdentityError, match="only the bank may exchange"):
        await door.exchange(None, call(greeting("j", DIGEST), identity=OTHER))
    with pytest.raises(PeerProtocolError, match="no job k waits"):
        await door.exchange(None, call(greeting("k", DIGEST)))
    with pytest.raises(PeerProtocolError, match="did not begin with a greeting"):
        await door.exchange(None, call(Frame(number=1)))
    first = asyncio.create_task(door.exchange(None, call(greeting("j", DIGEST))))
    await asyncio.sleep(0)
    with pytest.raises(PeerProtocolError, match="no job j waits"):  # a second stream for the same job
        await door.exchange(None, call(greeting("j", DIGEST)))
    door.forget("j")
    await first
    with pytest.raises(PeerProtocolError, match="no job j waits"):
        await door.exchange(None, call(greeting("j", DIGEST)))


async def test_neither_waits_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dialling, "PATIENCE", 0.01)
    monkeypatch.setattr(waiting, "PATIENCE", 0.01)
    door = Door(BANK)
    door.expect("j")
    with pytest.raises(PeerLost, match="the bank did not connect within"):
        await door.meet("j", DIGEST, Counter(), account())
    with pytest.raises(PeerLost, match="the bank did not greet within"):
        await door.exchange(None, call())
    bank, _ = dial()
    with pytest.raises(PeerLost, match="the grid did not greet within"):
        await bank.meet("j", DIGEST, Counter(), account())


class Shut(End):
    """An end that lets nothing in, though it answers pings."""

    async def write(self, frame: Any) -> None:
        await asyncio.Event().wait()


async def test_nobody_waits_for_ever_for_a_greeting_to_be_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dialling, "PATIENCE", 0.01)
    monkeypatch.setattr(dialling, "REACH", 0.0)
    bank, _ = dial()
    bank._grid.end = Shut([])  # type: ignore[attr-defined]
    with pytest.raises(PeerLost, match="the grid was not reached within"):
        await bank.meet("j", DIGEST, Counter(), account())
    door, wish = Door(BANK), Wish.fresh(2)
    _, met, serving, own = await meeting(door, wish, 2)
    monkeypatch.setattr(waiting, "LANE_PATIENCE", 0.01)
    further: Any = Shut([lane_greeting("j", DIGEST, 0, 2, 1, lane_key(wish, own, "j", 0, 1))])
    joining = asyncio.create_task(door.exchange(None, further))
    with pytest.raises(PeerLost, match=r"lane 1 of the bank was not reached within"):
        await asyncio.wait_for(met, patience(5))
    door.forget("j")
    await asyncio.gather(serving, joining)
    monkeypatch.setattr(waiting, "PATIENCE", 0.01)
    door.expect("k")
    first: Any = Shut([greeting("k", DIGEST)])
    serving = asyncio.create_task(door.exchange(None, first))
    await asyncio.sleep(0)
    with pytest.raises(PeerLost, match="the bank was not reached within"):
        await door.meet("k", DIGEST, Counter(), account())
    door.forget("k")
    await serving


async def test_what_the_bank_asks_for_itself_goes_to_who_listens() -> None:
    door, taken = Door(BANK), list[tuple[str, str, Identity]]()

    async def take(job: str, plan: str, client: Identity) -> None:
        taken.append((job, plan, client))
        door.expect(job)

    door.listen(take)
    serving = asyncio.create_task(door.exchange(None, call(greeting("j", DIGEST, plan="{}"))))
    with pytest.raises(IdentityError, match="only the bank may exchange"):
        await door.exchange(None, call(greeting("k", DIGEST, plan="{}"), identity=OTHER))
    await asyncio.sleep(0)
    assert taken == [("j", "{}", BANK)]
    channel = await door.meet("j", DIGEST, Counter(), account())
    await channel.stop()
    door.forget("j")
    await serving

    async def refuse(*_: Any) -> None:
        raise PlanError("not this one")

    door.listen(refuse)
    refused = call(greeting("l", DIGEST, plan="{}"))
    with pytest.raises(PlanError, match="not this one"):
        await door.exchange(None, refused)
    assert not refused.written  # not even a greeting: it would say where the audit log stands
    bank, end = dial(greeting("m", DIGEST))
    bank.expect("m", "{}")
    channel = await bank.meet("m", DIGEST, Counter(), account())
    assert end.written == [greeting("m", DIGEST, plan="{}")]
    await channel.stop()


# Several lanes


async def wish_of(end: Any) -> Wish:
    """What an end has greeted with."""
    while not end.written:
        await asyncio.sleep(0)
    return Wish.of(end.written[0].hello, "it")


async def meeting(door: Door, theirs: Wish, lanes: int) -> tuple[Any, asyncio.Task[Any], asyncio.Task[None], Wish]:
    """A job's first call as the grid serves it: the call, the meeting, the serving, what the grid wishes."""
    door.expect("j")
    first = call(greeting("j", DIGEST, wish=theirs))
    serving = asyncio.create_task(door.exchange(None, first))
    met = asyncio.create_task(door.meet("j", DIGEST, Counter(), account(), lanes=lanes))
    return first, met, serving, await wish_of(first)


@pytest.mark.parametrize(("ours", "theirs", "agreed"), [(4, 3, 3), (2, 4, 2), (1, 4, 1), (4, 1, 1)])
async def test_the_grid_takes_as_many_lanes_as_both_wish(ours: int, theirs: int, agreed: int) -> None:
    door, bank = Door(BANK), Wish.fresh(theirs)
    _, met, serving, own = await meeting(door, bank, ours)
    further = list[tuple[Any, asyncio.Task[None]]]()
    for lane in reversed(range(1, agreed)):
        caller = call(lane_greeting("j", DIGEST, 0, agreed, lane, lane_key(bank, own, "j", 0, lane)))
        further.append((caller, asyncio.create_task(door.exchange(None, caller))))
    channel = await asyncio.wait_for(met, patience(5))
    assert [caller.written for caller, _ in reversed(further)] == [
        [lane_greeting("j", DIGEST, 0, agreed, lane)] for lane in range(1, agreed)
    ]
    await channel.send(Round(Kind.MASKED_U, 1), np.zeros(1 << 18, np.uint8))
    assert all(len(caller.written) == 2 for caller, _ in further)
    with pytest.raises(PeerProtocolError, match=r"no(ne)? .*j"):  # one more than agreed, or one at all
        lane = max(1, agreed)
        extra = call(lane_greeting("j", DIGEST, 0, agreed, lane, lane_key(bank, own, "j", 0, lane)))
        await door.exchange(None, extra)
    await channel.stop()
    door.forget("j")
    await asyncio.wait_for(asyncio.gather(serving, *(task for _, task in further)), patience(5))


async def test_nobody_adds_a_lane_to_a_job_without_having_met_on_its_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lanes_of_jobs, "PATIENCE", 0.2)
    other, bank = Identity("bestbank", "bank"), Wish.fresh(2)
    door = Door(BANK, [other])
    with pytest.raises(PeerProtocolError, match="no job j waits for lanes"):
        await door.exchange(None, call(lane_greeting("j", DIGEST, 0, 2, 1, bytes(32))))
    _, met, serving, own = await meeting(door, bank, 2)
    right = lane_key(bank, own, "j", 0, 1)
    for hello, who, text in (
        (lane_greeting("j", DIGEST, 0, 2, 1, bytes(32)), BANK, "lane 1 of job j is none"),
        (lane_greeting("j", DIGEST, 0, 2, 1, right), other, "lane 1 of job j is none"),
        (lane_greeting("j", DIGEST, 1, 2, 1, right), BANK, "no job j waits for lanes"),  # of another attempt
        (lane_greeting("k", DIGEST, 0, 2, 1, right), BANK, "no job k waits for lanes"),
    ):
        with pytest.raises(PeerProtocolError, match=text):
            await door.exchange(None, call(hello, identity=who))
    with pytest.raises(IdentityError, match="only the bank may exchange"):
        await door.exchange(None, call(lane_greeting("j", DIGEST, 0, 2, 1, right), identity=OTHER))
    with pytest.raises(PeerLost, match=r"lanes 1 of 2 of the bank did not come"):
        await met
    door.forget("j")
    await serving


async def test_the_bank_dials_each_lane_by_itself_and_closes_all() -> None:
    grid, line = Wish.fresh(3), Grid()
    bank = Dial(line)  # type: ignore[arg-type]
    bank.expect("j")
    met = asyncio.create_task(bank.meet("j", DIGEST, Counter(), account(), lanes=4))
    own = await wish_of(line.end)
    line.end._frames.put_nowait(greeting("j", DIGEST, wish=grid))
    while len(line.further) < 2 or not all(one.end.written for one in line.further):
        await asyncio.sleep(0)
    for lane, one in enumerate(line.further, 1):
        assert one.end.written == [lane_greeting("j", DIGEST, 0, 3, lane, lane_key(own, grid, "j", 0, lane))]
        one.end._frames.put_nowait(lane_greeting("j", DIGEST, 0, 3, lane))
    channel = await asyncio.wait_for(met, patience(5))
    await channel.stop()
    bank.forget("j")
    for _ in range(10):
        await asyncio.sleep(0)
    assert line.end.closed and not line.closed and all(one.closed and one.end.closed for one in line.further)


async def test_a_lane_that_the_grid_refuses_or_answers_as_another_ends_the_meeting() -> None:
    grid = Wish.fresh(2)
    told = to_fault(PeerProtocolError("lane 1 of job j is none that is waited for here"), "grid")
    for answer, text in (
        (Frame(abort=Abort(fault=told)), "is none that is waited for"),
        (lane_greeting("j", DIGEST, 0, 2, 2), "answered as another"),
    ):
        line = Grid(greeting("j", DIGEST, wish=grid))
        bank = Dial(line)  # type: ignore[arg-type]
        bank.expect("j")
        met = asyncio.create_task(bank.meet("j", DIGEST, Counter(), account(), lanes=2))
        while not line.further:
            await asyncio.sleep(0)
        line.further[0].end._frames.put_nowait(answer)
        with pytest.raises(WattScoreError, match=text):
            await asyncio.wait_for(met, patience(5))
        bank.forget("j")

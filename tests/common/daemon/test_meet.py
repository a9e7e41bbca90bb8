"""How the two parties' streams of one job find each other."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

import numpy as np
import pytest

from bank_party import dial as dialling
from bank_party.dial import Dial
from common.errors import IdentityError, PeerLost, PeerProtocolError, PlanError
from common.mpc.session import Kind, Round
from common.party import Identity
from common.wire.peer import Counter, Stands, greeting
from common.wire.peer_pb2 import Frame
from grid_party import listen as waiting
from grid_party.listen import Door
from tests.patience import patience

BANK, OTHER = Identity("acme", "bank"), Identity("acme", "auditor")
DIGEST = bytes(range(32))


class Blank:
    """Logs that say nothing, and ask nothing."""

    def stands(self) -> Stands:
        return Stands()

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
        self.end = End(frames)

    def stream(self, _: Any) -> End:
        return self.end


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

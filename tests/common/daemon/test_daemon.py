"""A party's stream to its coordinator: kept through whatever its jobs do."""

from __future__ import annotations

import asyncio
import errno
import gc
from typing import Any

import pytest

from common.daemon import daemon as module
from common.daemon.daemon import PartyDaemon
from common.errors import IdentityError, PeerLost, WattScoreError
from common.party import Party
from common.wire import party_pb2 as wire
from tests.patience import patience


class Stream:
    """Like grpc's: a write that is cancelled takes the whole stream with it."""

    def __init__(self) -> None:
        self.going, self.written, self.broken = asyncio.Event(), list[str](), False

    async def write(self, message: wire.FromParty) -> None:
        try:
            await self.going.wait()
        except asyncio.CancelledError:
            self.broken = True
            raise
        self.written.append(message.progress.job)


async def test_a_job_that_ends_while_it_reports_does_not_break_the_stream() -> None:
    nobody: Any = None
    daemon = PartyDaemon(Party.GRID, nobody, [nobody], None)
    stream: Any = Stream()
    daemon._stream = stream
    first = asyncio.create_task(daemon._send(wire.FromParty(progress=wire.Progress(job="first"))))
    await asyncio.sleep(0.01)
    first.cancel()
    await asyncio.wait([first])
    second = asyncio.create_task(daemon._send(wire.FromParty(progress=wire.Progress(job="second"))))
    await asyncio.sleep(0.01)
    stream.going.set()
    await asyncio.wait_for(second, patience(5))
    assert not stream.broken and stream.written == ["first", "second"]  # whole and in order


async def test_what_a_job_that_has_ended_still_said_fails_in_silence_where_the_coordinator_is_gone() -> None:
    nobody: Any = None
    daemon, said = PartyDaemon(Party.GRID, nobody, [nobody], None), list[dict[str, Any]]()
    asyncio.get_running_loop().set_exception_handler(lambda _, context: said.append(context))
    gone = asyncio.Event()

    class Breaks(Stream):
        async def write(self, message: wire.FromParty) -> None:
            await self.going.wait()
            gone.set()
            raise PeerLost("the connection broke")

    stream: Any = Breaks()
    daemon._stream = stream
    telling = asyncio.create_task(daemon._send(wire.FromParty()))
    for _ in range(5):
        await asyncio.sleep(0)
    telling.cancel()
    await asyncio.wait([telling])
    stream.going.set()
    await asyncio.wait_for(gone.wait(), patience(5))
    del telling
    for _ in range(5):
        await asyncio.sleep(0)
    gc.collect()
    assert said == []


class Coordinator:
    """A connection on which each attempt to attend meets the next of `fates`: an error, or what the coordinator says."""

    def __init__(self, *fates: Any) -> None:
        self.server, self._fates, self.registered, self.closed = "the coordinator", list(fates), list[str](), 0
        self.open = 0  # streams

    def stream(self, method: Any) -> Any:
        fate = self._fates.pop(0)
        if isinstance(fate, WattScoreError):
            raise fate
        self.open += 1
        return Attended(self, list(fate))

    async def close(self) -> None:
        self.closed += 1


class Attended:
    def __init__(self, coordinator: Coordinator, says: list[Any]) -> None:
        self._coordinator, self._says = coordinator, says

    async def write(self, message: wire.FromParty) -> None:
        self._coordinator.registered.append(message.register.party)

    async def read(self) -> Any:
        said = self._says.pop(0)
        if callable(said):
            return await said()
        return said

    async def close(self) -> None:
        self._coordinator.open -= 1


class Runner:
    def __init__(self) -> None:
        self.taken, self.stopped = list[str](), list[str]()
        self.gate = self

    async def tell(self, send: Any) -> None:
        await asyncio.Event().wait()

    async def take(self, message: wire.ToParty, send: Any) -> None:
        self.taken.append(str(message.WhichOneof("message")))

    def held(self) -> list[str]:
        return []

    async def stop_all(self, cause: WattScoreError, *, offered: bool = False) -> None:
        self.stopped.append(cause.message)


async def test_a_party_comes_back_after_every_loss_and_ends_its_jobs_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_RETRY", (0.0, 0.0))
    monkeypatch.setattr(module, "_DISPLACED", 0.0)
    welcome, stop = wire.ToParty(welcome=wire.Welcome()), wire.ToParty(stop=wire.Stop(job="j"))
    attends = asyncio.Event()

    async def last() -> None:
        attends.set()
        await asyncio.Event().wait()

    line: Any = Coordinator(
        PeerLost("nobody is there"), [None], [stop], [welcome, stop, stop, None], IdentityError("revoked"), [welcome, last]
    )
    runner: Any = Runner()
    daemon = PartyDaemon(Party.BANK, runner, [line], None)
    running = asyncio.create_task(daemon.run())
    await asyncio.wait_for(attends.wait(), patience(5))
    assert line.registered == ["bank"] * 4 and runner.taken == ["stop", "stop"]
    assert runner.stopped == ["the bank lost the coordinator: the coordinator closed the connection"]
    await daemon.stop("the bank-party is shutting down")
    running.cancel()
    assert runner.stopped[1:] == ["the bank-party is shutting down"] and line.closed == 1


async def test_a_disk_that_refuses_as_a_party_comes_ends_no_daemon_and_every_stream_is_closed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "_RETRY", (0.0,))
    attends, errors = asyncio.Event(), [OSError(errno.EBUSY, "locked", "approvals.sqlite"), OSError(errno.EIO, "no")]

    async def last() -> None:
        attends.set()
        await asyncio.Event().wait()

    class Refused(Runner):
        def held(self) -> list[str]:
            if errors:
                raise errors.pop(0)
            return []

    welcome, stop = wire.ToParty(welcome=wire.Welcome()), wire.ToParty(stop=wire.Stop(job="j"))
    line: Any = Coordinator([], [], [stop], [welcome, last])
    runner: Any = Refused()
    running = asyncio.create_task(PartyDaemon(Party.BANK, runner, [line], None).run())
    await asyncio.wait_for(attends.wait(), patience(5))
    assert line.open == 1 and not errors  # the one on which it attends
    running.cancel()
    await asyncio.wait([running])
    assert line.open == 0
    broken: Any = Refused()
    errors.append(OSError(errno.EPIPE, "of no disk"))
    with pytest.raises(OSError, match="of no disk"):
        await PartyDaemon(Party.BANK, broken, [Coordinator([])], None).run()  # type: ignore[list-item]

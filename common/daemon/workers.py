"""The workers of a party's daemon: processes that it starts, which compute runs of rows of trainings."""

from __future__ import annotations

import asyncio
import itertools
import logging
import socket
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from common.daemon.handing import Given
from common.daemon.run import Asked, Dealt
from common.daemon.tether import Said, Tether
from common.disk.shared import can_share
from common.errors import ConfigError, PeerLost, WattScoreError
from common.mpc.abreast import Account
from common.mpc.fixedpoint import Words
from common.mpc.session import Array
from common.wire.peer import Counter
from common.wire.peer_pb2 import Fault
from common.wire.status import from_fault

_log = logging.getLogger(__name__)

START = 60.0  # seconds in which a worker is to be ready
_PAUSE = 1.0  # before another is started in the place of one that has ended
_LAST = 5.0  # seconds that it has to close a run


class Process:
    """One worker, whatever process it is by now."""

    def __init__(self, command: Sequence[str], name: str) -> None:
        """command: what starts it, but for the descriptor of its socket. name: in errors and in the log."""
        self.command, self.name = tuple(command), name
        self.pid = 0
        self._process: asyncio.subprocess.Process | None = None
        self._tether: Tether | None = None
        self._ready, self._moved = asyncio.Event(), asyncio.Event()  # it is; it is, or has ended
        self.ends = 0
        self._waiting: dict[tuple[int, str], asyncio.Future[Said]] = {}

    async def run(self) -> None:
        """Until cancelled: starts it, and another one whenever it has ended."""
        while True:
            try:
                await self._live()
            except OSError:
                _log.exception("%s cannot be started", self.name)
            await asyncio.sleep(_PAUSE)

    async def _live(self) -> None:
        own, other = socket.socketpair()
        tether = Tether(own)
        try:
            with other:
                self._process = await asyncio.create_subprocess_exec(
                    *self.command,
                    str(other.fileno()),
                    stdin=asyncio.subprocess.DEVNULL,
                    pass_fds=[other.fileno()],
                    start_new_session=True,  # an interrupt is the daemon's, which ends it
                )
            self.pid, self._tether = self._process.pid, tether
            while (said := await tether.hear()) is not None:
                if said.told["what"] == "ready":
                    self._ready.set()
                    self._moved.set()
                    _log.info("%s is ready, process %d", self.name, self.pid)
                    continue
                waiting = self._waiting.pop((int(said.told["number"]), said.told["what"]), None)
                if waiting is not None and not waiting.done():
                    waiting.set_result(said)
        finally:
            self._ready.clear()
            self._tether = None
            tether.close()  # by which it ends
            await self._ended()

    async def _ended(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            try:
                with suppress(TimeoutError):
                    async with asyncio.timeout(_LAST):
                        await process.wait()  # as it hears nothing more
            finally:
                if process.returncode is None:
                    with suppress(ProcessLookupError):
                        process.kill()
                    await process.wait()
                level = logging.INFO if process.returncode == 0 else logging.WARNING
                _log.log(level, "%s, process %d, has ended with %s", self.name, process.pid, process.returncode)
        self.ends += 1
        self._moved.set()
        for waiting in self._waiting.values():
            if not waiting.done():
                waiting.set_exception(self.lost())
        self._waiting.clear()

    @property
    def ready(self) -> bool:
        return self._ready.is_set()

    async def begun(self) -> None:
        """Waits until it is ready for the first time. Raises ConfigError where it has ended before."""
        with suppress(TimeoutError):
            async with asyncio.timeout(START):
                await self._moved.wait()
        if not self.ready:
            raise ConfigError(f"{self.name} did not start", remedy="Its own words are above: a port that is taken, or a file.")

    def kill(self) -> None:
        """For another in its place: it answers no more, and would hold up whatever it is asked next."""
        if self._process is not None:
            with suppress(ProcessLookupError):
                self._process.kill()

    def lost(self) -> PeerLost:
        return PeerLost(f"{self.name} has ended", remedy="See the log of its party: the job goes on with another.")

    async def ask(
        self, number: int, what: str, told: Mapping[str, Any], arrays: Sequence[Array] = (), files: Sequence[int] = ()
    ) -> Said:
        """Its answer about a run. Raises what it failed with, PeerLost where it has ended."""
        try:
            async with asyncio.timeout(START):
                await self._ready.wait()
        except TimeoutError:
            raise PeerLost(f"{self.name} was not ready within {START:.0f} s", remedy="See the log of its party.") from None
        if (tether := self._tether) is None:
            raise self.lost()
        answer: asyncio.Future[Said] = asyncio.get_running_loop().create_future()
        self._waiting[number, what] = answer
        try:
            await tether.say({"number": number, "what": what, **told}, arrays, files)
            said = await answer
        except OSError:
            raise self.lost() from None
        finally:
            if self._waiting.get((number, what)) is answer:
                del self._waiting[number, what]
        if (fault := said.told.get("fault")) is not None:
            raise from_fault(Fault.FromString(bytes.fromhex(fault)))
        return said


class Workers:
    """All of them, of one daemon."""

    def __init__(self, count: int, command: Sequence[str], party: str) -> None:
        """command: what starts one, but for its place and the descriptor of its socket."""
        names = (f"worker {place + 1} of the {party}" for place in range(count))
        self.processes = [Process([*command, str(place)], name) for place, name in enumerate(names)]
        self.numbers = itertools.count()
        self._tasks = list[asyncio.Task[None]]()

    def __len__(self) -> int:
        return len(self.processes)

    async def start(self) -> None:
        """Returns once all are ready. Raises ConfigError where one is not, or where rows cannot be handed to any."""
        if self.processes and not can_share():
            raise ConfigError("this system hands no process another one's memory", remedy="Set workers = 0, or run on Linux.")
        self._tasks = [asyncio.create_task(process.run()) for process in self.processes]
        for process in self.processes:
            await process.begun()

    @property
    def ready(self) -> bool:
        """Whether there are any, and all are: one that has ended is started again."""
        return bool(self.processes) and all(process.ready for process in self.processes)

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


class Elsewhere:
    """A run of rows that a worker computes: see `mpc.abreast.Runner`."""

    def __init__(self, process: Process, number: int, asked: Asked, peer: Counter, coordinator: Counter) -> None:
        """number: of this run and no other of the daemon's life. peer, coordinator: where its bytes are counted."""
        self.process, self._number, self._asked = process, number, asked
        self._counters, self._dealt = (peer, coordinator), list[tuple[str, int, str]]()
        self.run, self._life, self.peak_mib = asked.road.run, -1, 0.0

    async def open(self, given: Given) -> None:
        """Tells it where its rows lie, and has its streams opened."""
        told = {"asked": self._asked.told(), "given": given.told}
        await self.process.ask(self._number, "open", told, (), given.files)
        self._life = self.process.ends

    async def step(self, number: int, own: Words, other: Words) -> Sequence[tuple[Words, Words]]:
        found = self._news(await self._ask("step", {"step": number}, (own, other))).arrays
        return list(zip(found[::2], found[1::2], strict=True))

    async def account(self) -> Account:
        said = self._news(await self._ask("account", {}))
        told, self.peak_mib = said.told["account"], float(said.told["peak_mib"])
        return Account(told["said"], told["taken"], told["rounds"], told["sent"])

    @property
    def dealt(self) -> Dealt:
        return self._dealt

    async def close(self, fault: Fault | None = None) -> None:
        if self._gone:
            return  # it went with its process
        why = {} if fault is None else {"why": fault.SerializeToString().hex()}
        try:
            with suppress(WattScoreError):
                async with asyncio.timeout(_LAST):
                    await self._ask("close", why)
        except TimeoutError:
            self.process.kill()

    async def _ask(self, what: str, told: Mapping[str, Any], arrays: Sequence[Array] = ()) -> Said:
        """Raises PeerLost where its process has ended, also if another is there by now."""
        if self._gone:
            raise self.process.lost()
        return await self.process.ask(self._number, what, told, arrays)

    @property
    def _gone(self) -> bool:
        return self._life >= 0 and not (self.process.ready and self._life == self.process.ends)

    def _news(self, said: Said) -> Said:
        peer, coordinator = self._counters
        sent, received, dealt_sent, dealt_received = said.told["bytes"]
        peer.sent, peer.received = peer.sent + sent, peer.received + received
        coordinator.sent, coordinator.received = coordinator.sent + dealt_sent, coordinator.received + dealt_received
        self._dealt += [(kind, number, digest) for kind, number, digest in said.told["dealt"]]
        return said


def command_of(package: str, config: Path) -> list[str]:
    """What starts a worker of a party's package, but for its place and the descriptor of its socket."""
    return [sys.executable, "-m", f"{package}.worker", str(config)]

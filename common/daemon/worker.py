"""A party's worker: computes runs of rows of trainings for the daemon that started it, and ends with it.

It has the party's identity, its files of keys and its configuration, and no book: shares of weights, budgets and what is opened
stay with the daemon. What it is given comes over a pair of Unix sockets that it inherits.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import sys
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from common.daemon.handing import take
from common.daemon.meet import Meeting
from common.daemon.run import Asked, Streams, open_streams
from common.daemon.seat import Seat
from common.daemon.tether import Said, Tether
from common.errors import LocalProtocolError, WattScoreError
from common.learn.learners import runs_of
from common.mpc.session import Array
from common.process.memory import give_memory_back, keep_freed_memory, own_peak_mib
from common.process.serve import loop_factory
from common.text.logs import set_logging
from common.unheard import unheard
from common.wire.client import Connection
from common.wire.peer import Counter
from common.wire.peer_pb2 import Fault
from common.wire.server import serve
from common.wire.status import to_fault
from common.wire.tls import Credentials
from common.wire.unproven import raise_descriptors

_log = logging.getLogger(__name__)


@dataclass
class _Run:
    """A run as it is served: its streams, what went over them, and how much of that the daemon knows."""

    streams: Streams
    peer: Counter = field(default_factory=Counter)
    dealt: Counter = field(default_factory=Counter)
    told: int = 0  # dealt arrays

    def news(self) -> dict[str, Any]:
        """What has come since the last time."""
        bytes_ = [self.peer.sent, self.peer.received, self.dealt.sent, self.dealt.received]
        self.peer.sent = self.peer.received = self.dealt.sent = self.dealt.received = 0
        dealt = self.streams.dealt[self.told :]
        self.told += len(dealt)
        return {"bytes": bytes_, "dealt": dealt}


class Worker:
    """What it serves, by the number that the daemon gives each run."""

    def __init__(self, tether: Tether, coordinator: Connection, seat: Seat[Any, Any], meeting: Meeting) -> None:
        self._tether, self._coordinator, self._meeting = tether, coordinator, meeting
        self._origin = seat.party.value
        self._runs: dict[int, _Run] = {}
        self._tasks = dict[int, asyncio.Task[None]]()

    async def serve(self) -> None:
        """Until the daemon is gone."""
        while (said := await self._tether.hear()) is not None:
            number = int(said.told["number"])
            busy = self._tasks.pop(number, None)
            if said.told["what"] == "close" and busy is not None:
                busy.cancel()
                await asyncio.wait({busy})
            self._tasks[number] = unheard(asyncio.create_task(self._answer(said)))

    async def _answer(self, said: Said) -> None:
        number, about = int(said.told["number"]), {"number": said.told["number"], "what": said.told["what"]}
        try:
            told, arrays = await getattr(self, f"_{said.told['what']}")(number, said)
        except Exception as error:
            if not isinstance(error, WattScoreError):
                _log.exception("a run of rows failed")
            told, arrays = {"fault": to_fault(error, self._origin).SerializeToString().hex()}, ()
        await self._tether.say({**about, **told}, arrays)

    async def _open(self, number: int, said: Said) -> tuple[Mapping[str, Any], tuple[Array, ...]]:
        asked, peer, dealt = Asked.of(said.told["asked"]), Counter(), Counter()
        arrays = take(said.told["given"], said.files, runs_of(asked.learner).rows(asked.about, asked.road.run))
        streams = await open_streams(asked, arrays, self._meeting, self._coordinator, peer, dealt)
        self._runs[number] = _Run(streams, peer, dealt)
        return {}, ()

    async def _step(self, number: int, said: Said) -> tuple[Mapping[str, Any], tuple[Array, ...]]:
        run, (own, other) = self._found(number), said.arrays
        found = await run.streams.step(int(said.told["step"]), own, other)
        return run.news(), tuple(one for pair in found for one in pair)

    async def _account(self, number: int, said: Said) -> tuple[Mapping[str, Any], tuple[Array, ...]]:
        run = self._found(number)
        found = await run.streams.account()
        told = {"said": found.said, "taken": found.taken, "rounds": found.rounds, "sent": dict(found.sent)}
        return {"account": told, "peak_mib": own_peak_mib(), **run.news()}, ()

    async def _close(self, number: int, said: Said) -> tuple[Mapping[str, Any], tuple[Array, ...]]:
        if (run := self._runs.pop(number, None)) is not None:
            fault = said.told.get("why")
            await run.streams.close(None if fault is None else Fault.FromString(bytes.fromhex(fault)))
        del run
        if not self._runs:  # what was here of rows is the system's again, as at a daemon that has no job
            loop = asyncio.get_running_loop()
            loop.call_soon(loop.run_in_executor, None, give_memory_back)
        return {}, ()

    def _found(self, number: int) -> _Run:
        if (run := self._runs.get(number)) is None:
            raise LocalProtocolError("a worker is asked for a run that it does not serve", got=number)
        return run


async def _work(seat: Seat[Any, Any], config: Path, place: int, descriptor: int) -> None:
    keep_freed_memory()
    raise_descriptors()
    os.umask(0o077)
    settings = seat.load(config)
    set_logging(settings.log_level, settings.log_format)  # its own words are for all: local.log is the daemon's
    credentials = Credentials.load(settings.tls)
    way = seat.approach(settings, credentials)
    async with AsyncExitStack() as closing:
        listen = settings.worker_addresses
        if listen:
            orgs = {who.org for who in settings.others}
            server = await serve(listen[place], credentials, orgs, way.services, origin=seat.party.value)
            closing.push_async_callback(server.stop, 0.0)
        coordinator = Connection(settings.coordinator.address, settings.coordinator.who, credentials)
        for connection in (coordinator, *way.connections):
            closing.push_async_callback(connection.close)
        tether = Tether(socket.socket(fileno=descriptor))
        await tether.say({"number": -1, "what": "ready"})
        await Worker(tether, coordinator, seat, way.meeting).serve()


def main(seat: Seat[Any, Any]) -> None:
    """`python -m PARTY.worker CONFIG PLACE DESCRIPTOR`, as a daemon starts it."""
    config, place, descriptor = sys.argv[1:]
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # it ends when its daemon does
    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        runner.run(_work(seat, Path(config), int(place), int(descriptor)))

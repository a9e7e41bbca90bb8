"""A party's process: attends the coordinator, runs the jobs it is offered, and at the grid serves the bank's streams."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path

from prometheus_client import CollectorRegistry

from common import __version__
from common.daemon.drift import watch_drift
from common.daemon.killed import end_killed
from common.daemon.runner import Runner
from common.daemon.seat import Beside, H, S, Seat, Station
from common.daemon.settings import PartySettings, check_separate
from common.daemon.workers import Workers, command_of
from common.disk.data_folder import Name
from common.disk.lock import Lock
from common.disk.refused import refused
from common.errors import IdentityError, PeerLost, PeerProtocolError, PeerStopped, WattScoreError
from common.home.home import Home
from common.party import Party
from common.process.metrics import MetricsServer, PartyMetrics, watch_process, watch_stock
from common.process.serve import begin_tracing, serve_metrics
from common.text.logs import set_logging
from common.unheard import unheard
from common.wire import party_pb2 as wire
from common.wire.about import info_service
from common.wire.client import Connection, Stream
from common.wire.methods import ATTEND
from common.wire.peer import PROTOCOL
from common.wire.server import Server, serve
from common.wire.tls import Credentials

_log = logging.getLogger(__name__)

_DISPLACED = 5.0  # seconds that a party waits which another process of its identity sent away
_RETRY = (0.2, 0.5, 1.0, 2.0, 5.0)  # seconds between attempts to reach the coordinator


class PartyDaemon:
    """One party. Both roles run this; the grid also listens for the bank."""

    def __init__(
        self,
        party: Party,
        runner: Runner,
        connections: list[Connection],
        server: Server | None,
        metrics: PartyMetrics | None = None,
        metrics_server: MetricsServer | None = None,
        lock: Lock | None = None,
        home: Home | None = None,
        read: Callable[[], PartySettings] | None = None,
        beside: Sequence[Beside] = (),
        workers: Workers | None = None,
    ) -> None:
        """read: its configuration, as it is now. beside: what it runs besides jobs. workers: its own."""
        self._beside, self._workers = beside, workers
        self._home, self._read = home, read
        self._lock = lock  # of the data folder, for as long as this process lives
        self._metrics, self._metrics_server = metrics or PartyMetrics(CollectorRegistry()), metrics_server
        self.party, self._runner, self._connections, self._server = party, runner, connections, server
        self.port: int | None = server.port if server else None
        self._coordinator = connections[0]
        self._writing = asyncio.Lock()
        self._stream: Stream | None = None
        self._stopping = False

    async def run(self) -> None:
        """Attends the coordinator until told to stop, coming back after every loss."""
        failures = 0
        while not self._stopping:
            try:
                await self._attend()
                cause: WattScoreError = PeerLost("the coordinator closed the connection")
            except WattScoreError as error:
                cause = error
            except OSError as error:  # a disk that refuses now ends no daemon: jobs that need it say so
                if (why := refused(error)) is None:
                    raise
                cause = why
            self._metrics.attending.set(0)
            if self._stopping:
                return
            if self._stream is not None:
                failures, self._stream = 0, None
                lost = PeerLost(f"the {self.party.value} lost the coordinator: {cause.public}", remedy=cause.remedy)
                await self._runner.stop_all(lost, offered=True)
            wait = _DISPLACED if isinstance(cause, IdentityError) else _RETRY[min(failures, len(_RETRY) - 1)]
            level = logging.WARNING if failures in (0, 4) or isinstance(cause, IdentityError) else logging.DEBUG
            _log.log(level, "not attending the coordinator, again in %.1f s: %s", wait, cause)
            failures += 1
            await asyncio.sleep(wait)

    async def _attend(self) -> None:
        stream = self._coordinator.stream(ATTEND)
        try:
            await self._attend_by(stream)
        finally:  # else the coordinator takes a party for attending that has turned away, until it comes again
            await stream.close()

    async def _attend_by(self, stream: Stream) -> None:
        held, software = self._runner.held(), __version__
        register = wire.Register(party=self.party.value, protocol=PROTOCOL, software=software, time=time.time(), held=held)
        await stream.write(wire.FromParty(register=register))
        first = await stream.read()
        if first is None or first.WhichOneof("message") != "welcome":
            raise PeerProtocolError("the coordinator did not welcome this party")
        self._stream = stream
        self._metrics.attending.set(1)
        _log.info("attending %s", self._coordinator.server)
        telling = asyncio.create_task(self._runner.gate.tell(self._send))
        try:
            while (message := await stream.read()) is not None:
                await self._runner.take(message, self._send)
        finally:
            telling.cancel()

    async def _send(self, message: wire.FromParty) -> None:
        # A write that is cancelled, as a job's last progress is, would take the whole stream with it.
        await asyncio.shield(unheard(asyncio.ensure_future(self._write(message))))

    async def _write(self, message: wire.FromParty) -> None:
        async with self._writing:
            if self._stream is None:
                raise PeerLost("not connected to the coordinator")
            await self._stream.write(message)

    def reload(self) -> None:
        """Takes the datasets and the alarms' thresholds as the configuration has them now, from the next job on."""
        if self._read is None:
            return
        try:
            self._runner.adopt(self._read())
        except WattScoreError as error:
            _log.error("the configuration was not read anew, the one before holds: %s", error)

    async def stop(self, reason: str) -> None:
        self._stopping = True
        try:
            await self._close(reason)
        finally:  # whatever does not close: the books do, so that no end of one is left beside it
            if self._home is not None:
                self._home.close()
            if self._lock is not None:
                self._lock.release()

    async def _close(self, reason: str) -> None:
        for beside in self._beside:
            await beside.stop()
        await self._runner.stop_all(PeerStopped(reason))
        if self._workers is not None:  # not before: whoever loses one in a job says that it was lost, not stopped
            await self._workers.stop()
        if self._stream is not None:
            await self._stream.close()
        if self._server is not None:
            await self._server.stop()
        for connection in self._connections:
            await connection.close()
        if self._metrics_server is not None:
            self._metrics_server.stop()


async def start(seat: Seat[S, H], config: Path) -> PartyDaemon:
    """Reads the configuration, checks identities, binds the port."""
    settings, party = seat.load(config), seat.party
    set_logging(settings.log_level, settings.log_format, settings.data)
    begin_tracing(settings, f"{party.value}-party")
    credentials = Credentials.load(settings.tls)
    check_separate(credentials.identity, settings)
    lock = Lock(settings.data)
    home = seat.home(settings)
    home.tidy()
    end_killed(home)
    metrics = PartyMetrics(registry := CollectorRegistry())
    watch_process(registry, party.value, credentials)
    watch_stock(registry, settings.data / Name.STOCK)
    watch_drift(registry, settings.data, lambda: home.monitor)
    metrics_server = serve_metrics(settings, registry)
    coordinator = Connection(settings.coordinator.address, settings.coordinator.who, credentials)
    way = seat.approach(settings, credentials)
    known = {credentials.identity: party.value} | dict.fromkeys(settings.others, party.other.value)
    server = None
    if settings.listen is not None:
        orgs, services = {who.org for who in known}, [*way.services, info_service(known)]
        server = await serve(settings.listen, credentials, orgs, services, origin=party.value, reflect=settings.reflection)
    async with AsyncExitStack() as unless:  # all has begun
        if server is not None:
            unless.push_async_callback(server.stop)
        workers = Workers(settings.workers, command_of(f"{party.value}_party", config), party.value)
        unless.push_async_callback(workers.stop)
        await workers.start()
        meeting, own = way.meeting, credentials.identity
        meeting.staff(lambda: workers.ready)
        runner = Runner(seat.role(home), settings, home, meeting, coordinator, metrics, own=own, workers=workers)
        connections, read = [coordinator, *way.connections], partial(seat.load, config)
        station = Station(settings, home, runner, credentials, registry, config)
        beside = [one for make in seat.beside if (one := make(station)) is not None]
        for one in beside:
            await one.start()
            unless.push_async_callback(one.stop)
        unless.pop_all()
    return PartyDaemon(party, runner, connections, server, metrics, metrics_server, lock, home, read, beside, workers)

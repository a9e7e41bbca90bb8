"""Scores on request beside a bank's daemon: queue, sessions, book and server put together, and what they count."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from bank_party.home import BankHome
from bank_party.online.app import Guard, Quick, make_app
from bank_party.online.book import VERSION, AnswerBook
from bank_party.online.calls import call_server
from bank_party.online.config import OnlineConfig
from bank_party.online.queue import Queue
from bank_party.online.service import ScoringService, normalized
from bank_party.online.sessions import Sessions
from bank_party.online.shadow import Shadow, ShadowBook, shadow_config
from bank_party.online.suspects import SuspectBook, Suspects
from bank_party.settings import BankSettings
from common.daemon.seat import Station
from common.disk.data_folder import Name
from common.errors import PeerStopped
from common.process.metrics import Callback
from common.rows.declare import DatasetConfig
from common.web.callers import Callers
from common.web.https import HttpsServer, Place
from common.wire.health import check_health

_REACH = 5.0  # seconds in which the grid has to say that it serves


class Online:
    """`[online]` of a bank that runs."""

    def __init__(self, station: Station[BankSettings, BankHome], config: OnlineConfig) -> None:
        """Raises ConfigError for files that cannot be used."""
        settings, home, credentials = station.settings, station.home, station.credentials

        async def reach() -> None:
            await check_health(settings.peer.address, settings.peer.who, credentials, _REACH)

        answers = settings.data / Name.ANSWERS
        self._book = AnswerBook(answers, 3600.0 * config.keep_hours)
        self._suspects = [Suspects(self._book.now, SuspectBook(answers, whose, VERSION)) for whose in ("champion", "shadow")]
        queue = Queue(config.waiting_rows, self._suspects[0])
        runner, own = station.runner, credentials.identity

        def dataset() -> DatasetConfig | None:
            return runner.settings.datasets.get(config.bank_dataset)

        self._sessions, self._shadow = Sessions(runner, home, config, own, dataset, queue, reach), None
        if (beside := config.shadow) is not None:
            waiting, alike = Queue(beside.waiting_rows, self._suspects[1]), shadow_config(config, beside)
            sessions = Sessions(runner, home, alike, own, dataset, waiting, reach, after=self._sessions, what="shadow scores")
            book = ShadowBook(settings.data / Name.SHADOWS, beside.keep_days)
            self._shadow = Shadow(beside, waiting, sessions, book, config.rows_at_once)
        self._service = ScoringService(config, home, queue, self._sessions, self._book, self._shadow)
        place = Place(config.listen, config.certificate, config.key, config.trust, "online", "scores on request")
        clients = config.clients if config.trust is not None else None
        callers = Callers(clients, config.oidc)
        self._server = HttpsServer(place, Guard(Quick(make_app(self._service), self._service), callers))
        self._calls = call_server(config, self._service, callers)
        self._queue, self._tasks = queue, []
        station.registry.register(Callback(self._metrics))

    _tasks: list[asyncio.Task[None]]
    _shadow: Shadow | None

    async def start(self) -> None:
        await asyncio.to_thread(normalized, ["A"])  # imports pandas, a second in which the first caller would stop the loop
        await self._server.start()
        if self._calls is not None:
            await self._calls.start()
        self._tasks.append(asyncio.create_task(self._sessions.run()))
        if self._shadow is not None:
            self._tasks.append(asyncio.create_task(self._shadow.sessions.run()))

    async def stop(self) -> None:
        await self._server.stop()
        if self._calls is not None:
            await self._calls.stop()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._queue.fail(PeerStopped("the bank's daemon is shutting down"))
        await self._service.finish()
        if self._shadow is not None:  # which answers until now have begun to use
            await self._shadow.stop()
        for suspects in self._suspects:
            await asyncio.to_thread(suspects.close)
        self._book.close()

    def _metrics(self) -> Iterable[Metric]:
        left, service = self._sessions.stock_left, self._service
        yield GaugeMetricFamily("wattscore_online_serving", "1 while a session serves requests.", service.health().serving)
        yield GaugeMetricFamily("wattscore_online_waiting_rows", "Rows that wait to be scored.", self._queue.rows)
        if left is not None:
            yield GaugeMetricFamily("wattscore_online_stock_rows", "Rows that stocks still serve.", left)
        if (hours := self._sessions.stock_hours) is not None:
            text = "Seconds that stocks last at the last day's pace, one a session."
            yield GaugeMetricFamily("wattscore_online_stock_seconds", text, 3600.0 * hours)
        yield CounterMetricFamily("wattscore_online_rows", "Rows scored on request.", service.scored)
        if (shadow := self._shadow) is not None:
            up = shadow.sessions.current is not None
            yield GaugeMetricFamily("wattscore_online_shadow_serving", "1 while a session of the challenger serves.", up)
            yield CounterMetricFamily("wattscore_online_shadow_rows", "Rows that the challenger has scored too.", shadow.scored)
            text = "Rows that the challenger was not asked for, or could not score."
            yield CounterMetricFamily("wattscore_online_shadow_left_out", text, shadow.left_out)
        yield CounterMetricFamily("wattscore_online_replayed", "Answers given again from the book.", service.replayed)

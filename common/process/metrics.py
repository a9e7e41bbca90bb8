"""What a daemon counts, for Prometheus: names, help, buckets. No value of a dataset is in it, only counts, sizes and seconds.

Nothing global: a registry is an argument. Served as plain HTTP without authentication, on loopback unless told otherwise.
"""

from __future__ import annotations

import itertools
import logging
import math
import os
import threading
import time
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractAsyncContextManager, ExitStack, contextmanager, nullcontext
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

from common import __version__
from common.errors import ConfigError, WattScoreError
from common.mpc.session import Array, Channel, Holding, Round
from common.text import traces
from common.text.logs import Place, within
from common.trust.authority import TrustStore, parse_certificate, read_certificate
from common.wire.peer import Counter as Bytes
from common.wire.tls import Credentials

_log = logging.getLogger(__name__)

_ROUND_SECONDS = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0)
_STAGE_SECONDS = (0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1000.0, 3600.0)
KINDS = ("train", "score", "predeal")
ENDS = ("succeeded", "failed", "cancelled")


class Links(Collector):
    """wattscore_link_bytes_total: bytes of messages on each link, of jobs that are over and of those that run."""

    def __init__(self, names: Iterable[str]) -> None:
        self._over = {name: Bytes() for name in names}
        self._live: dict[int, tuple[str, Bytes]] = {}
        self._lock = threading.Lock()

    @contextmanager
    def counting(self, **counters: Bytes) -> Iterator[None]:
        """Counts these, by link, while a job runs, and keeps what they came to."""
        live = {id(counter): (name, counter) for name, counter in counters.items()}
        with self._lock:
            self._live |= live
        try:
            yield
        finally:
            with self._lock:
                for key, (name, counter) in live.items():
                    del self._live[key]
                    self._over[name].sent += counter.sent
                    self._over[name].received += counter.received

    def collect(self) -> Iterable[Metric]:
        family = CounterMetricFamily("wattscore_link_bytes", "Bytes of messages.", labels=("link", "direction"))
        with self._lock:
            for name, over in self._over.items():
                counters = [over, *(counter for link, counter in self._live.values() if link == name)]
                family.add_metric((name, "sent"), sum(counter.sent for counter in counters))
                family.add_metric((name, "received"), sum(counter.received for counter in counters))
        return [family]


class Rounds(Collector):
    """Arrays of the other party's: how many, seconds from one to the next, seconds of waiting for them.

    Written by the event loop alone: a counter of prometheus_client takes a lock for each value, as long as it takes to parse
    the array.
    """

    def __init__(self) -> None:
        self._within = [0] * (len(_ROUND_SECONDS) + 1)
        self._seconds = self._waited = 0.0

    def took(self, seconds: float, waited: float) -> None:
        """One has come."""
        self._within[bisect_left(_ROUND_SECONDS, seconds)] += 1
        self._seconds += seconds
        self._waited += waited

    def collect(self) -> Iterable[Metric]:
        below = [*itertools.accumulate(self._within)]
        edges = [*map(floatToGoString, (*_ROUND_SECONDS, math.inf))]
        text, buckets = "From one array of the other party's to the next.", [*zip(edges, below, strict=True)]
        yield CounterMetricFamily("wattscore_rounds", "Arrays received from the other party.", below[-1])
        yield HistogramMetricFamily("wattscore_round_seconds", text, buckets, self._seconds)
        text = "Spent waiting for the other party's arrays."
        yield CounterMetricFamily("wattscore_round_wait_seconds", text, self._waited)


class Expiry(Collector):
    """wattscore_certificate_days_left: this process's certificate ("own") and each trusted CA's ("ca:ORG")."""

    def __init__(self, credentials: Credentials) -> None:
        self._credentials = credentials

    def collect(self) -> Iterable[Metric]:
        days = GaugeMetricFamily("wattscore_certificate_days_left", "Days until it expires.", labels=("certificate",))
        now = datetime.now(UTC)
        for name, end in _ends(self._credentials.own().certificate, self._credentials.trust):
            days.add_metric((name,), (end - now).total_seconds() / 86400)
        return [days]


def _ends(own: bytes, trust: TrustStore) -> Iterator[tuple[str, datetime]]:
    yield "own", parse_certificate(own, "own").not_valid_after_utc
    for org in trust.orgs if trust.folder.is_dir() else ():
        try:
            yield f"ca:{org}", read_certificate(trust.folder / f"{org}.pem").not_valid_after_utc
        except WattScoreError:
            continue  # it is being replaced, or no certificate: the log says so when it is used


_UNKNOWN = "unknown"  # the kind of an offer that is no plan


class Callback(Collector):
    """A metric that is looked up when it is asked for."""

    def __init__(self, collect: Callable[[], Iterable[Metric]]) -> None:
        self._collect = collect

    def collect(self) -> Iterable[Metric]:
        return self._collect()


class PartyMetrics:
    """The counters of a party."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._jobs = Counter("wattscore_jobs", "Jobs that are over.", ("kind", "state"), registry=registry)
        for kind in KINDS:
            for state in (*ENDS, "refused"):
                self._jobs.labels(kind, state)
        self._jobs.labels(_UNKNOWN, "refused")
        self._errors = Counter(
            "wattscore_job_errors", "Jobs that ended badly, by kind of error.", ("error",), registry=registry
        )
        self.running = Gauge("wattscore_jobs_running", "Jobs that run.", registry=registry)
        self.attending = Gauge("wattscore_attending", "1 while connected to the coordinator.", registry=registry)
        self.round_took = (rounds := Rounds()).took
        registry.register(rounds)
        self._stage = Histogram(
            "wattscore_stage_seconds", "Seconds of a stage.", ("stage",), buckets=_STAGE_SECONDS, registry=registry
        )
        self.links = Links(("peer", "coordinator"))
        registry.register(self.links)

    def refused(self, kind: str, error: str) -> None:
        """This party refused an offer; kind: of the plan, empty if it is none."""
        self._jobs.labels(kind or _UNKNOWN, "refused").inc()
        self._errors.labels(error).inc()

    def over(self, kind: str, error: str) -> None:
        """A job has ended, with the kind of the error if there was one."""
        state = "cancelled" if error == "JobCancelled" else "failed" if error else "succeeded"
        self._jobs.labels(kind, state).inc()
        if error:
            self._errors.labels(error).inc()

    def stage_took(self, name: str, seconds: float) -> None:
        self._stage.labels(name).observe(seconds)


class JobWatch:
    """One job of a party as logs and metrics see it: enter it when the job starts, say `ended` before it is over."""

    def __init__(self, metrics: PartyMetrics, job: str, kind: str) -> None:
        self.place = Place(job)
        self._metrics, self._kind = metrics, kind
        self._since, self._error = time.monotonic(), "InternalError"
        self._all = ExitStack()
        self._span = self._in_stage = traces.NOTHING

    def __enter__(self) -> Self:
        self._all.enter_context(within(self.place))
        self._span = traces.begin(f"job {self._kind}", self.place.job)
        self._all.enter_context(traces.current(self._span))
        self._all.enter_context(self._metrics.running.track_inprogress())
        return self

    def __exit__(self, *_: object) -> None:
        self._leave_stage()
        self._metrics.over(self._kind, self._error)
        self._all.close()
        self._span.end(self._error)

    def counting(self, peer: Bytes, coordinator: Bytes) -> None:
        """Counts the bytes of these links, once entered."""
        self._all.enter_context(self._metrics.links.counting(peer=peer, coordinator=coordinator))

    def stage(self, name: str) -> None:
        """The job enters a stage; the one before is over."""
        self._leave_stage()
        self.place.stage = name
        self._in_stage = traces.begin(name, self.place.job, within=self._span)
        _log.info("job %s: %s", self.place.job, name)

    def _leave_stage(self) -> None:
        now = time.monotonic()
        if self.place.stage:
            self._metrics.stage_took(self.place.stage, now - self._since)
        self._in_stage.end()
        self._in_stage = traces.NOTHING
        self._since = now

    def ended(self, error: str = "") -> None:
        """With the kind of the error, if there was one."""
        self._error = error

    def channel(self, channel: Channel) -> Channel:
        """`channel`, with each array that is received being counted and timed."""
        return _Timed(channel, self._metrics, self.place)


class _Timed:
    def __init__(self, channel: Channel, metrics: PartyMetrics, place: Place) -> None:
        self._channel, self._metrics, self._place = channel, metrics, place
        self._holding = channel if isinstance(channel, Holding) else None
        self._last = time.monotonic()

    async def send(self, round: Round, values: Array) -> None:
        await self._channel.send(round, values)

    def hold(self, *, throughout: bool = False) -> AbstractAsyncContextManager[None]:
        return nullcontext() if self._holding is None else self._holding.hold(throughout=throughout)

    def keep(self, round: Round, values: Array) -> bool:
        return self._holding is not None and self._holding.keep(round, values)

    async def receive(self, round: Round) -> Array:
        self._place.round, asked = round.number, time.monotonic()
        values = await self._channel.receive(round)
        now = time.monotonic()
        self._metrics.round_took(now - self._last, now - asked)
        self._last = now
        return values


def watch_stock(registry: CollectorRegistry, folder: Path) -> None:
    """Stocks dealt ahead, and their bytes, in a party's folder."""

    def collect() -> Iterable[Metric]:
        sizes = [status.st_size for file in folder.glob("*.stock") if (status := _stat(file)) is not None]
        return [
            GaugeMetricFamily("wattscore_stocks", "Stocks of randomness dealt ahead.", len(sizes)),
            GaugeMetricFamily("wattscore_stock_bytes", "Their size on disk.", sum(sizes)),
        ]

    registry.register(Callback(collect))


def _stat(file: Path) -> os.stat_result | None:
    try:
        return file.stat()
    except FileNotFoundError:  # used or discarded at this moment
        return None


def watch_process(registry: CollectorRegistry, role: str, credentials: Credentials) -> None:
    """The gauges of every daemon: its version, its memory and processor, how long its certificates last."""
    build = Gauge("wattscore_build_info", "1, by version and role.", ("version", "role"), registry=registry)
    build.labels(__version__, role).set(1)
    ProcessCollector(registry=registry)
    registry.register(Expiry(credentials))


class MetricsServer:
    """GET /metrics of one registry. `address` is what is really bound."""

    def __init__(self, address: str, registry: CollectorRegistry) -> None:
        """Raises ConfigError when the address cannot be bound."""
        host, _, port = address.rpartition(":")
        try:
            self._server, self._thread = start_http_server(int(port), host.strip("[]"), registry)
        except OSError as error:
            raise ConfigError(
                f"cannot serve metrics on {address}: {error.strerror}", remedy="Check that the port is free."
            ) from None
        self.address = f"{host}:{self._server.server_port}"

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

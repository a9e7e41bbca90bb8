"""What the three daemons' command lines share: configuration, logs, signals, a file that says when they are ready."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Protocol

import click
from prometheus_client import CollectorRegistry

from common.disk.files import write_private
from common.disk.refused import refused
from common.errors import WattScoreError
from common.process.extra import extra
from common.process.health import EVERY
from common.process.memory import keep_freed_memory, set_imports_apart
from common.process.metrics import MetricsServer
from common.process.settings import ClientSettings, Process
from common.text import traces
from common.text.logs import fatal
from common.wire.unproven import raise_descriptors

_log = logging.getLogger(__name__)
_SIGNALS = (signal.SIGTERM, signal.SIGINT)


class Daemon(Protocol):
    """A running process: `port` is what it listens on, None if nothing."""

    port: int | None

    async def run(self) -> None:
        """Until cancelled; raises what it cannot recover from."""

    def reload(self) -> None:
        """Reads anew, at SIGHUP, what of the configuration may change while it runs; what cannot be read changes nothing."""

    async def stop(self, reason: str) -> None:
        """Ends running jobs with this cause, tells the others, closes."""


Start = Callable[[Path], Awaitable[Daemon]]


def serve_command(name: str, start: Start) -> click.Command:
    """`NAME serve`."""

    @click.command()
    @click.option(
        "--config", type=click.Path(path_type=Path), required=True, envvar="WATTSCORE_CONFIG", help="Configuration file (TOML)."
    )
    @click.option("--ready-file", type=click.Path(path_type=Path), help="Write a JSON line with the port here once ready.")
    @click.option(
        "--heartbeat",
        type=click.Path(path_type=Path),
        envvar="WATTSCORE_HEARTBEAT",
        help="Touch this file every 5 s, for `wattscore-health`; removed at the end.",
    )
    def serve(config: Path, ready_file: Path | None, heartbeat: Path | None) -> None:
        """Serve until SIGTERM or Ctrl-C, then end running jobs in order."""
        try:
            with asyncio.Runner(loop_factory=loop_factory()) as runner:
                runner.run(_serve(name, start, config, ready_file, heartbeat))
        except (WattScoreError, OSError) as error:
            if (named := error if isinstance(error, WattScoreError) else refused(error)) is None:
                raise
            fatal(name, named)
            sys.exit(2)

    return serve


def loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """What makes a daemon's event loop: libuv's, by uvloop, which takes less of the processor for each message.

    None, which means asyncio's own, where the extra that brings it is not installed.
    """
    try:
        import uvloop  # an extra, which nobody need install
    except ImportError:
        return None
    made: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return made


def serve_metrics(settings: Process, registry: CollectorRegistry) -> MetricsServer | None:
    """If the configuration asks for it. Raises ConfigError when the address cannot be bound."""
    if settings.metrics is None:
        return None
    server = MetricsServer(settings.metrics, registry)
    _log.info("metrics at http://%s/metrics", server.address)
    return server


def begin_tracing(settings: Process | ClientSettings, service: str) -> None:
    """If the configuration asks for it. Raises ConfigError where the extra is not installed."""
    if settings.tracing is None:
        return
    with extra("tracing", "otel"):
        from common.process.tracing import make_tracer  # an extra, which nobody else need install
    traces.use(make_tracer(settings.tracing, service))


async def _serve(name: str, start: Start, config: Path, ready_file: Path | None, heartbeat: Path | None) -> None:
    keep_freed_memory()
    raise_descriptors()
    os.umask(0o077)  # models, scores and ledgers are for this user alone
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in _SIGNALS:
        loop.add_signal_handler(number, stopping.set)
    try:
        await _until(stopping, name, start, config, ready_file, heartbeat)
    finally:
        # The loop gives signals back as it closes: one that comes then must not change how a process ends that was told to.
        for number in _SIGNALS if stopping.is_set() else ():
            loop.remove_signal_handler(number)
            signal.signal(number, signal.SIG_IGN)


async def _until(
    stopping: asyncio.Event, name: str, start: Start, config: Path, ready_file: Path | None, heartbeat: Path | None
) -> None:
    log = logging.getLogger(name)
    daemon = await start(config)
    set_imports_apart()
    beating: asyncio.Future[None] | None = None
    try:
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, daemon.reload)
        if ready_file is not None:
            write_private(ready_file, (json.dumps({"port": daemon.port, "pid": os.getpid()}) + "\n").encode())
        log.info("ready%s", f" on port {daemon.port}" if daemon.port else "")
        beating = asyncio.ensure_future(_beat(heartbeat)) if heartbeat is not None else None
        running = asyncio.ensure_future(daemon.run())
        waiting = asyncio.ensure_future(stopping.wait())
        await asyncio.wait({running, waiting}, return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        log.info("stopping")
    finally:  # in order whatever happens: what grpc says of a server that was left open would come after the cause
        if beating is not None and heartbeat is not None:
            beating.cancel()
            heartbeat.unlink(missing_ok=True)
        await daemon.stop(f"the {name} is shutting down")
        await asyncio.to_thread(traces.close)
    if running.done():
        running.result()
    running.cancel()


async def _beat(file: Path) -> None:
    """Touches `file` for as long as the loop goes round. One that cannot be written is logged once."""
    told = False
    while True:
        try:
            file.touch(mode=0o600)
        except OSError as error:
            if not told:
                _log.warning("%s: no heartbeat can be written: %s", file, error.strerror)
            told = True
        await asyncio.sleep(EVERY)

"""`wattscore-coordinator serve --config FILE.toml`."""

from __future__ import annotations

import logging
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import click
from prometheus_client import CollectorRegistry

from common.coordinator.board import Board
from common.coordinator.metrics import watch_coordinator
from common.coordinator.service import Coordinator
from common.errors import PolicyError
from common.party import Identity
from common.process.extra import extra
from common.process.metrics import MetricsServer, watch_process
from common.process.person import person
from common.process.serve import begin_tracing, serve_command, serve_metrics
from common.process.settings import CoordinatorSettings, load_settings
from common.text.logs import set_logging
from common.web.links import print_link
from common.wire.server import Server
from common.wire.server import serve as listen
from common.wire.tls import Credentials

if TYPE_CHECKING:
    from common.web.console import Console

_log = logging.getLogger(__name__)


class CoordinatorDaemon:
    """The coordinator process."""

    def __init__(
        self, coordinator: Coordinator, server: Server, metrics: MetricsServer | None = None, console: Console | None = None
    ) -> None:
        self._coordinator, self._server, self._metrics, self._console = coordinator, server, metrics, console
        self.port: int | None = server.port

    async def run(self) -> None:
        await self._coordinator.run()

    def reload(self) -> None:
        """Nothing of it may change while jobs wait: who attends and who may submit take a restart."""
        _log.warning("SIGHUP: no key of a coordinator's configuration is read anew; restart it")

    async def stop(self, reason: str) -> None:
        if self._console is not None:
            await self._console.stop()
        await self._coordinator.stop(reason)
        await self._server.stop()
        if self._metrics is not None:
            self._metrics.stop()


async def start(config: Path) -> CoordinatorDaemon:
    settings = load_settings(CoordinatorSettings, config)
    set_logging(settings.log_level, settings.log_format, settings.data)
    begin_tracing(settings, "wattscore-coordinator")
    credentials = Credentials.load(settings.tls)
    parties = list(settings.members)
    for party in parties:
        if party.org == credentials.identity.org:
            raise PolicyError(
                f"the coordinator {credentials.identity} belongs to the organisation of {party}",
                remedy="Run it at a third organisation: a dealer and one party together can read the other's data.",
            )
    clients = [Identity.parse(client) for client in settings.clients]
    board = Board(settings.data, settings.members, settings.keep_jobs, resume=settings.resume_days > 0)
    coordinator = Coordinator(settings, board, credentials.identity)
    watch_process(registry := CollectorRegistry(), "coordinator", credentials)
    watch_coordinator(registry, board, coordinator)
    metrics = serve_metrics(settings, registry)
    orgs = {identity.org for identity in (credentials.identity, *parties, *clients)}  # its own: for health checks
    server = await listen(
        settings.listen, credentials, orgs, coordinator.services(), origin="coordinator", reflect=settings.reflection
    )
    console = None
    async with AsyncExitStack() as unless:  # all has begun
        unless.push_async_callback(server.stop)
        if settings.console is not None:
            with extra("console"):
                from common.coordinator.console import make_console  # an extra, which other coordinators need not install
            console = make_console(settings, board, coordinator.attends)
            await console.start()
        unless.pop_all()
    return CoordinatorDaemon(coordinator, server, metrics, console)


@click.command()
@click.option(
    "--config", type=click.Path(path_type=Path), required=True, envvar="WATTSCORE_CONFIG", help="Configuration file (TOML)."
)
def console(config: Path) -> None:
    """Print a link to the coordinator's pages, which it serves.

    It logs in whoever opens it first, once, within two minutes, as the account that logged in here.
    """
    settings = load_settings(CoordinatorSettings, config)
    print_link(settings.console, settings.tls, settings.data, person(), "wattscore-coordinator serve")


serve = serve_command("wattscore-coordinator", start)

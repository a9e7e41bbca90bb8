"""An HTTPS server: TLS 1.3, on its own address and with its own trust, in a daemon's loop."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from common.errors import ConfigError
from common.wire.tls import read_key

_log = logging.getLogger(__name__)

CERTIFICATE = "wattscore.certificate"  # where a scope has what the connection's certificate says
_LOOK = 5.0  # seconds between looks at the certificate's files
_IDLE = 75  # seconds that a connection stays open without a request: longer than a balancer's usual minute
_CROWD, _BRIEF = 500, 5  # connections from which on one stays so long
_MOST = 1000  # connections beyond which each further request hears 503
_WHOLE = 60.0  # seconds in which a request has to come, from when it could
_HEAD = 1 << 16  # bytes of a request beside its body


@dataclass(frozen=True)
class Place:
    """Where a server listens, and as whom. section: of the configuration, for errors; what: it serves, for the log.

    trust: CA certificates (PEM) of callers, who must have one of them; None: it is found out otherwise who calls.
    """

    listen: str
    certificate: Path
    key: Path
    trust: Path | None
    section: str
    what: str


class _Server(uvicorn.Server):
    """One that leaves the process's signals alone: they are the daemon's."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class _Protocol(HttpToolsProtocol):
    """HTTP/1.1, each request with what its connection's certificate says.

    llhttp's parser gathers a header however long it is, and what follows chunks as headers of the request: both are cut off.
    uvicorn waits for ever for a request that does not begin, or does not end, of connections of which it bears so many.
    """

    _beside = 0  # bytes of the request, as far as it has come, that are not its body's
    _due: asyncio.TimerHandle | None = None  # by when what comes has to be whole
    _last = False  # whether nothing more is read

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        tls = transport.get_extra_info("ssl_object")
        self.app = partial(_with_certificate, self.app, tls.getpeercert() if tls is not None else None)
        self._await_request()

    def connection_lost(self, exc: Exception | None) -> None:
        self._has_come()
        super().connection_lost(exc)

    def _await_request(self) -> None:
        if self._due is None:
            self._due = self.loop.call_later(_WHOLE, self._is_late)

    def _has_come(self) -> None:
        if self._due is not None:
            self._due.cancel()
            self._due = None

    def _is_late(self) -> None:
        """The connection ends, unless the request before is still being answered."""
        self._due, before = None, self.cycle
        if self.flow.read_paused or not (before is None or before.more_body or before.response_complete):
            self._await_request()
        else:
            self.transport.close()

    def _unsupported_upgrade_warning(self) -> None:
        """The request is answered and none after it: the parser drops what has come behind one that names a protocol."""
        self._last, self.cycle.keep_alive = True, False

    def data_received(self, data: bytes) -> None:
        if self._last:
            return
        self._await_request()
        self._beside += len(data)
        super().data_received(data)
        if self._beside > _HEAD and not self.transport.is_closing():
            self.send_400_response("The request is too large beside its body.")

    def on_body(self, body: bytes) -> None:
        self._beside -= len(body)
        super().on_body(body)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._await_request()  # also of one that has come with the one before

    def on_headers_complete(self) -> None:
        super().on_headers_complete()
        self.headers = []  # of the request itself there are none any more

    def on_message_complete(self) -> None:
        self._beside = 0
        self._has_come()
        super().on_message_complete()

    def on_response_complete(self) -> None:
        self.timeout_keep_alive = _IDLE if len(self.connections) < _CROWD else _BRIEF
        super().on_response_complete()


async def _with_certificate(app: Any, certificate: dict[str, Any] | None, scope: Scope, receive: Receive, send: Send) -> None:
    await app({**scope, CERTIFICATE: certificate}, receive, send)


class HttpsServer:
    """Serves `app` until `stop`. Raises ConfigError for files that cannot be used, or an address that cannot be bound."""

    def __init__(self, place: Place, app: ASGIApp) -> None:
        self._place = place
        self._context, self._seen = make_context(place), _written(place)
        http = uvicorn.Config(
            app,
            http=_Protocol,
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            ssl_context_factory=lambda *_: self._context,
            timeout_keep_alive=_IDLE,
            timeout_graceful_shutdown=5,
            limit_concurrency=_MOST,
        )
        self._server = _Server(http)
        self._tasks: list[asyncio.Task[None]] = []
        self.port = 0

    async def start(self) -> None:
        host, _, port = self._place.listen.rpartition(":")
        try:
            found = await asyncio.get_running_loop().getaddrinfo(host.strip("[]"), int(port))
            bound = _bind(found[0])
        except OSError as error:
            raise ConfigError(
                f"cannot serve {self._place.what} on {self._place.listen}: {error.strerror}",
                remedy="Check that the port is free.",
            ) from None
        self.port = int(bound.getsockname()[1])
        self._tasks = [asyncio.create_task(self._server.serve([bound])), asyncio.create_task(self._watch())]
        _log.info("%s at https://%s:%d", self._place.what, host, self.port)

    async def stop(self) -> None:
        self._server.should_exit = True
        if self._tasks:
            self._tasks[1].cancel()
            await asyncio.wait(self._tasks, timeout=10.0)

    async def _watch(self) -> None:
        """New connections get the certificate that is there now; trust takes a restart."""
        while True:
            await asyncio.sleep(_LOOK)
            if (now := _written(self._place)) == self._seen:
                continue
            self._seen = now
            try:
                _load(self._context, self._place)
            except ConfigError as error:
                _log.error("the certificate of [%s] was not read anew: %s", self._place.section, error)


def make_context(place: Place) -> ssl.SSLContext:
    """TLS 1.3 alone; with `trust` nobody is connected who has no certificate of it. Raises ConfigError."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    _load(context, place)
    if place.trust is not None:
        context.verify_mode = ssl.CERT_REQUIRED
        try:
            context.load_verify_locations(place.trust)
        except OSError as error:  # also what ssl raises
            raise _unusable(place.section, [place.trust], error) from None
    return context


def _load(context: ssl.SSLContext, place: Place) -> None:
    read_key(place.key)
    try:
        context.load_cert_chain(place.certificate, place.key)
    except OSError as error:
        raise _unusable(place.section, [place.certificate, place.key], error) from None


def _unusable(section: str, files: list[Path], error: OSError) -> ConfigError:
    names = ", ".join(map(str, files))
    return ConfigError(f"[{section}]: {names}: {error.strerror or error}", remedy="Give PEM files that belong together.")


def _written(place: Place) -> list[tuple[int, int] | None]:
    return [_when(file) for file in (place.certificate, place.key)]


def _when(file: Path) -> tuple[int, int] | None:
    try:
        status = file.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_ino


def _bind(where: Any) -> Any:
    family, _, proto, _, address = where
    bound = socket.socket(family, socket.SOCK_STREAM, proto)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    bound.bind(address)
    bound.listen()  # who calls before the server's task has begun waits for it
    bound.set_inheritable(True)
    return bound

"""A daemon's console: its pages behind a door, a server of their own, and the link that logs in."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from pathlib import Path

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import RedirectResponse
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Scope

from common.errors import WattScoreError
from common.process.settings import ConsoleConfig, is_loopback
from common.web.callers import Callers
from common.web.door import VISITOR, Door, Refused, cookie_of, read_form
from common.web.frame import Frame, language, static
from common.web.https import HttpsServer, Place
from common.web.login import Known, Sessions, Tickets, Visitor
from common.wire.tls import TlsConfig

_log = logging.getLogger(__name__)

SECTION = "console"


def visitor_of(request: Request) -> Visitor:
    """Who looks at a page: the door lets nobody else come so far."""
    visitor: Visitor = request.scope[VISITOR]
    return visitor


def decider_of(request: Request) -> Visitor:
    """Raises Refused for a visitor who may not decide."""
    visitor = visitor_of(request)
    if not visitor.person:
        raise Refused(403, "login.may_not")
    return visitor


class Console:
    """`[console]` of a daemon. Raises ConfigError for files that cannot be used; `start` for an address that is taken."""

    def __init__(
        self,
        config: ConsoleConfig,
        tls: TlsConfig,
        tickets: Path,
        name: str,
        frame: Frame,
        add: Callable[[FastAPI], None],
        deciders: Mapping[str, str] | None = None,
    ) -> None:
        """tickets: the book of links; name: of the process; add: adds its pages; deciders: see `login.Known`."""
        self._config, self._frame = config, frame
        self._tickets, self.sessions = Tickets(tickets), Sessions()
        self._cookie = f"__Host-{name}"  # of this host alone; a host's ports share cookies, so each process has a name
        clients = config.people if config.trust is not None else None
        callers = None if config.by_link else Callers(clients, config.oidc)
        self.app: ASGIApp = Door(
            self._make(add), self._hosts, self._cookie, self.sessions, callers, Known(dict(deciders or {})), self._say
        )
        certificate, key = config.certificate or tls.certificate, config.key or tls.key
        self._server = HttpsServer(Place(config.listen, certificate, key, config.trust, SECTION, "pages"), self.app)

    async def start(self) -> None:
        await self._server.start()

    async def stop(self) -> None:
        await self._server.stop()

    @property
    def port(self) -> int:
        """That it listens on, once it has started."""
        return self._server.port

    def _hosts(self) -> frozenset[str]:
        found = set() if self._config.host is None else {self._config.host.lower()}
        if is_loopback(self._config.listen):
            host = self._config.listen.rpartition(":")[0].lower()
            found |= {f"{name}:{self._server.port}" for name in (host, "localhost")}
        return frozenset(found)

    def _make(self, add: Callable[[FastAPI], None]) -> FastAPI:
        app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)
        add(app)

        @app.get("/")
        def first(request: Request) -> Response:
            return RedirectResponse(f"/{language('', request.headers.get('accept-language', ''))}/", 303)

        @app.get("/static/{name}")
        def file(name: str) -> Response:
            try:
                return static(name)
            except KeyError:
                raise Refused(404, "login.missing") from None

        @app.get("/login")
        def login(request: Request, ticket: str = "") -> Response:
            person = self._tickets.take(ticket) if self._config.by_link else None
            if person is None:
                raise Refused(401, "login.used")
            _log.info("%s logged in to the console", person)
            answer = RedirectResponse("/", 303)
            answer.set_cookie(self._cookie, self.sessions.open(person), path="/", secure=True, httponly=True, samesite="strict")
            return answer

        @app.post("/{lang}/logout")
        async def logout(request: Request, lang: str) -> Response:
            await read_form(request)
            self.sessions.close(cookie_of(request.headers.get("cookie", ""), self._cookie))
            answer = RedirectResponse(f"/{language(lang)}/", 303)
            answer.delete_cookie(self._cookie, path="/", secure=True, httponly=True, samesite="strict")
            return answer

        @app.exception_handler(Refused)
        async def refused(request: Request, error: Refused) -> Response:
            return self._say(request.scope, error)

        @app.exception_handler(RequestValidationError)
        async def invalid(request: Request, error: RequestValidationError) -> Response:
            return self._say(request.scope, Refused(404, "login.missing"))

        @app.exception_handler(HTTPException)
        async def http(request: Request, error: HTTPException) -> Response:
            return self._say(request.scope, Refused(error.status_code, "login.missing" if error.status_code == 404 else ""))

        @app.exception_handler(WattScoreError)
        async def known(request: Request, error: WattScoreError) -> Response:
            return self._say(request.scope, Refused(409, ""), str(error))

        @app.middleware("http")
        async def caught(request: Request, go: Callable[[Request], object]) -> Response:
            try:
                return await go(request)  # type: ignore[misc,no-any-return]
            except Exception:  # of any kind: a page must not end the daemon, nor show why to who cannot act on it
                _log.exception("a page of the console could not be made")
                return self._say(request.scope, Refused(500, "login.failed"))

        return app

    def _say(self, scope: Scope, refused: Refused, text: str = "") -> Response:
        accepted = next((v.decode("latin-1") for k, v in scope["headers"] if k == b"accept-language"), "")
        lang = language(scope["path"], accepted)
        visitor = scope.get(VISITOR)
        return self._frame.page("said", lang, "", visitor, refused.status, key=refused.key, code=refused.status, text=text)

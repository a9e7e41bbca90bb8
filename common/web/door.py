"""The door of a daemon's pages: who comes in, from which address, with which form; and what a browser may do with a page."""

from __future__ import annotations

import hmac
from collections.abc import Callable, Mapping, MutableMapping
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import parse_qs

from fastapi import Request, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from common.web.callers import Callers, Unknown
from common.web.https import CERTIFICATE
from common.web.login import Known, Sessions, Visitor

VISITOR, LIMIT = "wattscore.visitor", 1 << 16  # where a scope has who visits; bytes of a form
_FREE = ("/login", "/static/")  # what is shown to who is not logged in: it holds nothing of this party
_READS = ("GET", "HEAD")
_ITSELF = b"wattscore-live"  # a header by which a page says that it asks by itself
PAGE_POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none';"
    " img-src data:; frame-ancestors 'none'"
)
_HEADERS = {
    "Content-Security-Policy": PAGE_POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",  # with no-referrer a browser's form would not say where it is from
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}


class Refused(Exception):
    """A request that is not served. key: of the words that say why."""

    def __init__(self, status: int, key: str) -> None:
        super().__init__(key)
        self.status, self.key = status, key


class Door:
    """Lets through requests to one of `hosts` from who is known: by a session's cookie, or by `callers` where there are any."""

    def __init__(
        self,
        app: ASGIApp,
        hosts: Callable[[], frozenset[str]],
        cookie: str,
        sessions: Sessions,
        callers: Callers | None,
        known: Known,
        say: Callable[[Scope, Refused], Response],
    ) -> None:
        """hosts: HOST:PORT in small letters, as requests may name this server; say: the page about a refusal."""
        self._app, self._hosts, self._cookie, self._sessions = app, hosts, cookie, sessions
        self._callers, self._known, self._say = callers, known, say

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*_missing(message["headers"]), *message["headers"]]}
            await send(message)

        headers = {name: value.decode("latin-1") for name, value in scope["headers"]}
        try:
            self._check_origin(scope["method"], headers)
            scope[VISITOR] = visitor = await self._who(scope, headers)
            if visitor is None and not scope["path"].startswith(_FREE):
                raise Refused(401, "login.needed")
        except Refused as refused:
            await self._say(scope, refused)(scope, receive, guarded)
            return
        await self._app(scope, receive, guarded)

    def _check_origin(self, method: str, headers: Mapping[bytes, str]) -> None:
        """A name that is not ours is another's, which points here; a form of another page is another's too."""
        host = headers.get(b"host", "").lower()
        if host not in self._hosts():
            raise Refused(421, "login.host")
        if method in _READS:
            return
        if headers.get(b"origin") != f"https://{host}" or headers.get(b"sec-fetch-site", "same-origin") != "same-origin":
            raise Refused(403, "login.form")

    async def _who(self, scope: MutableMapping[str, Any], headers: Mapping[bytes, str]) -> Visitor | None:
        if self._callers is None:
            cookie = cookie_of(headers.get(b"cookie", ""), self._cookie)
            return self._sessions.find(cookie, asked=_ITSELF not in headers)
        try:
            name = await self._callers.name(scope.get(CERTIFICATE), headers.get(b"authorization"))
        except Unknown as unknown:
            raise Refused(403 if unknown.may_not else 401, "login.unknown") from None
        return self._known.visitor(name)


def _missing(headers: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    there = {name.lower() for name, _ in headers}
    return [(k.lower().encode(), v.encode()) for k, v in _HEADERS.items() if k.lower().encode() not in there]


def cookie_of(header: str, name: str) -> str:
    """The value of a cookie; empty where there is none."""
    try:
        found = SimpleCookie(header).get(name)
    except CookieError:
        return ""
    return found.value if found is not None else ""


async def read_form(request: Request) -> dict[str, str]:
    """The fields of a form. Raises Refused for one that is too large, or does not carry its visitor's secret."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > LIMIT:
            raise Refused(413, "login.large")
    try:
        found = parse_qs(body.decode(), keep_blank_values=True, max_num_fields=50)
    except ValueError:
        raise Refused(400, "login.form") from None
    fields = {name: values[-1] for name, values in found.items()}
    visitor: Visitor | None = request.scope[VISITOR]
    if visitor is None or not hmac.compare_digest(fields.pop("form", "").encode(), visitor.form.encode()):
        raise Refused(403, "login.form")
    return fields

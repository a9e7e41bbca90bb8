"""A browser's requests to a console in this process: cookies are kept, redirects are not followed."""

from __future__ import annotations

import asyncio
from http.cookies import SimpleCookie
from urllib.parse import urlencode, urlsplit

from starlette.types import ASGIApp, Message


class Answer:
    def __init__(self, status: int, headers: list[tuple[bytes, bytes]], body: bytes) -> None:
        self.status, self.text = status, body.decode()
        self.headers = {name.decode().lower(): value.decode() for name, value in headers}


class Visit:
    """One browser. host: by which it names the server; headers: with each request."""

    def __init__(self, app: ASGIApp, host: str, **headers: str) -> None:
        self.app, self.host, self.headers = app, host, headers
        self.cookies: dict[str, str] = {}

    def get(self, path: str, **headers: str) -> Answer:
        return self._ask("GET", path, b"", headers)

    def post(self, path: str, fields: dict[str, str], **headers: str) -> Answer:
        headers = {"origin": f"https://{self.host}", "content-type": "application/x-www-form-urlencoded"} | headers
        return self._ask("POST", path, urlencode(fields).encode(), headers)

    def _ask(self, method: str, path: str, body: bytes, headers: dict[str, str]) -> Answer:
        said = {"host": self.host} | self.headers | headers
        if self.cookies:
            said["cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        parts, got = urlsplit(path), list[Message]()
        scope = {
            "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": method, "scheme": "https",
            "path": parts.path, "raw_path": parts.path.encode(), "query_string": parts.query.encode(), "root_path": "",
            "headers": [(name.replace("_", "-").encode(), value.encode()) for name, value in said.items() if value],
            "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 1),
        }  # fmt: skip

        async def receive() -> Message:
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(message: Message) -> None:
            got.append(message)

        asyncio.run(self.app(scope, receive, send))
        start = got[0]
        answer = Answer(start["status"], start["headers"], b"".join(m.get("body", b"") for m in got[1:]))
        for name, morsel in SimpleCookie(answer.headers.get("set-cookie", "")).items():
            self.cookies[name] = morsel.value
        return answer

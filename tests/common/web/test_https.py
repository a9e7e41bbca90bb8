"""The HTTPS server: what requests may be like on one connection, and how much of one is kept."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from common.web import https as module
from common.web.https import CERTIFICATE, HttpsServer, Place
from tests.common.web.pki import Pki
from tests.patience import patience


async def echo(scope: Any, receive: Any, send: Any) -> None:
    """Says what the request was like: target, headers' names as they are once the body is there, who sent it, its body."""
    body = b""
    while (message := await receive())["type"] == "http.request":
        body += message["body"]
        if not message["more_body"]:
            break
    names = b",".join(name for name, _ in scope["headers"])
    holder = dict(part[0] for part in scope[CERTIFICATE]["subject"])["commonName"].encode()
    text = b" ".join((scope["method"].encode(), scope["path"].encode(), names, holder, b"%d" % len(body), body[:9]))
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(text))]})
    await send({"type": "http.response.body", "body": text})


class Line:
    """One connection, on which bytes are sent as they are."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    async def send(self, *parts: bytes) -> None:
        for part in parts:
            self._writer.write(part)
            await self._writer.drain()

    async def answer(self) -> tuple[int, bytes]:
        async with asyncio.timeout(patience(30)):
            head = await self._reader.readuntil(b"\r\n\r\n")
            size = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
            return int(head.split(b" ")[1]), await self._reader.readexactly(size)

    async def ended(self) -> bool:
        """Whether the server closes the connection."""
        async with asyncio.timeout(patience(30)):
            try:
                return await self._reader.read(1) == b""
            except (ConnectionError, ssl.SSLError):
                return True

    def close(self) -> None:
        self._writer.close()


Dial = Callable[[], Awaitable[Line]]


class Waiting:
    """The application, and what a request of `/wait` waits for."""

    def __init__(self) -> None:
        self.go_on = asyncio.Event()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["path"] == "/wait":
            await self.go_on.wait()
        await echo(scope, receive, send)


@pytest.fixture
def waiting() -> Waiting:
    return Waiting()


@pytest.fixture
async def dial(tmp_path: Path, waiting: Waiting) -> AsyncIterator[Dial]:
    pki, made = Pki(tmp_path / "pki"), list[Line]()
    for name in ("online", "loan-desk"):
        pki.issue(name)
    files = (pki.folder / f"online.{kind}" for kind in ("pem", "key"))
    server = HttpsServer(Place("127.0.0.1:0", *files, pki.folder / "ca.pem", "online", "scores"), waiting)
    await server.start()

    async def connect() -> Line:
        made.append(Line(*await asyncio.open_connection("127.0.0.1", server.port, ssl=pki.context("loan-desk"))))
        return made[-1]

    yield connect
    for line in made:
        line.close()
    await server.stop()


@pytest.fixture
async def line(dial: Dial) -> Line:
    return await dial()


async def test_requests_follow_each_other_on_one_connection_however_their_bytes_are_cut(line: Line) -> None:
    await line.send(b"GET /a%20b?x HT", b"TP/1.1\r\nHo", b"st: here\r\n\r\n")
    assert await line.answer() == (200, b"GET /a b host loan-desk 0 ")
    body = b"x" * 200_000  # with its head at once: far more than a head may be
    await line.send(b"POST /score HTTP/1.1\r\nHost: here\r\nContent-Length: 200000\r\n\r\n" + body)
    assert await line.answer() == (200, b"POST /score host,content-length loan-desk 200000 xxxxxxxxx")
    await line.send(b"GET /1 HTTP/1.1\r\nHost: here\r\n\r\nGET /2 HTTP/1.1\r\nHost: here\r\n\r\n")
    assert [await line.answer() for _ in range(2)] == [(200, b"GET /%d host loan-desk 0 " % k) for k in (1, 2)]


async def test_what_follows_chunks_is_no_header_of_the_request(line: Line) -> None:
    await line.send(b"POST /score HTTP/1.1\r\nHost: here\r\nTransfer-Encoding: chunked\r\n\r\n")
    await line.send(b"3\r\nabc\r\n0\r\nAuthorization: Bearer late\r\n\r\n")
    assert await line.answer() == (200, b"POST /score host,transfer-encoding loan-desk 3 abc")


@pytest.mark.parametrize(
    "begin",
    [
        b"GET /",
        b"GET / HTTP/1.1\r\nHost: here\r\nX: ",
        b"GET / HTTP/1.1\r\nHost: here\r\n",
        b"POST / HTTP/1.1\r\nHost: here\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX: ",
        b"POST / HTTP/1.1\r\nHost: here\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n",
    ],
    ids=["target", "header", "headers", "trailer", "trailers"],
)  # fmt: skip
async def test_a_request_that_is_long_beside_its_body_is_cut_off(line: Line, begin: bytes) -> None:
    part = b"x: y\r\n" * 700 if begin.endswith(b"\n") else b"x" * 4096
    await line.send(begin)
    try:
        for _ in range(512):  # 2 MiB, which would be kept
            await line.send(part)
    except OSError:  # of which most is not taken
        return
    assert await line.ended() or (await line.answer())[0] == 400


@pytest.mark.parametrize(
    "request_",
    [
        b"GET / HTTP/1.1\r\nHost : here\r\n\r\n",
        b"GET http://[ HTTP/1.1\r\nHost: here\r\n\r\n",
        b"CONNECT elsewhere:443 HTTP/1.1\r\nHost: here\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: here\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: here\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
        b"no request at all\r\n\r\n",
    ],
    ids=["name", "target", "connect", "both", "lengths", "none"],
)  # fmt: skip
async def test_what_is_no_request_is_answered_so_and_the_connection_ends(line: Line, request_: bytes) -> None:
    await line.send(request_)
    assert await line.answer() == (400, b"Invalid HTTP request received.") and await line.ended()


@pytest.mark.parametrize(
    "begin",
    [
        b"",
        b"GET / HT",
        b"GET / HTTP/1.1\r\nHost: here\r\n",
        b"POST / HTTP/1.1\r\nHost: here\r\nContent-Length: 9\r\n\r\nabc",
        b"\r\n",
    ],
    ids=["nothing", "target", "head", "body", "blank"],
)
@pytest.mark.parametrize("before", [False, True], ids=["first", "next"])
async def test_a_request_that_does_not_come_ends_its_connection(
    dial: Dial, monkeypatch: pytest.MonkeyPatch, begin: bytes, before: bool
) -> None:
    """Of a thousand such connections nobody else would be served."""
    monkeypatch.setattr(module, "_IDLE", 0.5)
    if not before:
        monkeypatch.setattr(module, "_WHOLE", 0.5)
    line = await dial()
    if before:
        await line.send(b"GET /1 HTTP/1.1\r\nHost: here\r\n\r\n")
        assert (await line.answer())[0] == 200
        monkeypatch.setattr(module, "_WHOLE", 0.5)
    with suppress(OSError):  # it has ended, on a busy machine
        await line.send(begin)
    assert await line.ended()


async def test_an_answer_that_takes_long_is_waited_for_though_the_next_request_does_not_come(
    dial: Dial, waiting: Waiting, monkeypatch: pytest.MonkeyPatch
) -> None:
    line = await dial()
    monkeypatch.setattr(module, "_WHOLE", 0.05)
    await line.send(b"GET /wait HTTP/1.1\r\nHost: here\r\n\r\nGET /2 HTTP/1.1\r\nHo")
    await asyncio.sleep(0.5)  # ten times as long
    waiting.go_on.set()
    assert await line.answer() == (200, b"GET /wait host loan-desk 0 ") and await line.ended()


async def test_where_connections_are_many_one_is_kept_for_less(dial: Dial, monkeypatch: pytest.MonkeyPatch) -> None:
    for path, crowd in (b"1", 500), (b"2", 2):
        monkeypatch.setattr(module, "_CROWD", crowd)
        monkeypatch.setattr(module, "_BRIEF", 0.1)
        line = await dial()
        await line.send(b"GET /" + path + b" HTTP/1.1\r\nHost: here\r\n\r\n")
        assert (await line.answer())[0] == 200
    assert await line.ended()


@pytest.mark.parametrize("behind", [b"", b"GET /2 HT"], ids=["alone", "with more"])
async def test_a_request_that_would_change_the_protocol_is_answered_and_the_connection_ends(line: Line, behind: bytes) -> None:
    """Else what has come behind it is dropped, and what comes then read as if it began a request."""
    await line.send(b"GET /1 HTTP/1.1\r\nHost: here\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n" + behind)
    with suppress(OSError):
        await line.send(b"GET /3 HTTP/1.1\r\nHost: here\r\n\r\n")
    assert await line.answer() == (200, b"GET /1 host,connection,upgrade loan-desk 0 ") and await line.ended()

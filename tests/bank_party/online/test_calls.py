"""Scores by gRPC: what is asked for and answered is what HTTPS has, of the same callers, and errors say as much."""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import grpc
import pytest
from google.protobuf import struct_pb2
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message
from pydantic import BaseModel

from bank_party.online import messages
from bank_party.online.book import digest
from bank_party.online.calls import PROBLEM, call_server, read
from bank_party.online.config import OnlineConfig
from bank_party.online.messages import Asked
from bank_party.online.problem import later, wrong
from common.errors import ConfigError
from common.web.callers import Callers
from common.wire import scoring_pb2 as wire
from common.wire.office import OfficeServer
from common.wire.unproven import Room
from tests.common.web.pki import Pki
from tests.patience import patience

SERVICE = "/wattscore.online.v1.Scoring"
KEY = ("idempotency-key", "7f1c")
RESULT = {
    "id": "企业", "period": "2026-01", "bank_columns": "request", "score": 612.5, "grade": "B", "decision": "refer",
    "probability": 0.125, "log_odds": -1.75, "reasons": ["arrears"], "grid_reasons": ["Falling use", "Late"], "refused": None,
}  # fmt: skip
NONE = {
    "id": "B", "period": None, "bank_columns": "dataset", "score": None, "grade": None, "decision": None,
    "probability": None, "log_odds": None, "reasons": [], "grid_reasons": None, "refused": "the grid holds no such row",
}  # fmt: skip
ANSWER = {
    "session": "score-1", "model": {"job": "train-1", "version": 3}, "results": [RESULT, NONE],
    "features": {"bank_read": "2026-01-31T10:00:00Z", "as_of": "2026-01"},
    "cost": {"scores_charged": 1, "stock_left": 41}, "grid_reasons_untold": None,
}  # fmt: skip


class Service:
    """Answers all with the same, or with a problem."""

    def __init__(self) -> None:
        self.sessions: Any = SimpleNamespace(runs_out=True)
        self.asked: list[tuple[str, str, Asked]] = []
        self.goes_on = asyncio.Event()

    async def score(self, caller: str, key: str, asked: Asked) -> tuple[dict[str, Any], bool]:
        self.asked.append((caller, key, asked))
        if asked.id == "down":
            raise later("no session", "Ask again.", 30)
        if asked.id == "waits":
            await self.goes_on.wait()
        if asked.id == "many":
            raise wrong("columns.x", "长" * 5000, f"The columns are: {', '.join(f'列{k}' for k in range(2000))}.")
        if asked.id == "bug":
            raise RuntimeError("of nobody's")
        return ANSWER, asked.id == "before"

    def health(self) -> messages.Health:
        until = datetime(2026, 2, 1, 6, 30, tzinfo=UTC)
        return messages.Health(serving=True, model="train-1", stock_left=41, runs_out=True, lasts_until=until)


class Office:
    """A server whose callers have certificates of a PKI."""

    def __init__(self, folder: Path) -> None:
        self.pki, self.service = Pki(folder), Service()
        for name in ("online", "loan-desk", "stranger"):
            self.pki.issue(name)
        self.config = OnlineConfig(
            listen="127.0.0.1:1", grpc="127.0.0.1:0", certificate=folder / "online.pem", key=folder / "online.key",
            trust=folder / "ca.pem", clients=("loan-desk",), grid_dataset="new", bank_dataset="new",
        )  # fmt: skip

    def server(self) -> OfficeServer:
        server = call_server(self.config, self.service, Callers(self.config.clients, None))  # type: ignore[arg-type]
        assert server is not None
        return server

    @asynccontextmanager
    async def open(self) -> AsyncIterator[OfficeServer]:
        await (server := self.server()).start()
        try:
            yield server
        finally:
            await server.stop(0.0)

    def connected(self, port: int, who: str | None) -> grpc.aio.Channel:
        """As a caller with the certificate `who`, on a connection of its own."""
        folder = self.pki.folder
        own = (None, None) if who is None else tuple((folder / f"{who}.{kind}").read_bytes() for kind in ("key", "pem"))
        credentials = grpc.ssl_channel_credentials((folder / "ca.pem").read_bytes(), *own)
        options = (("grpc.use_local_subchannel_pool", 1), ("grpc.enable_http_proxy", 0))
        return grpc.aio.secure_channel(f"127.0.0.1:{port}", credentials, options)

    async def call(self, port: int, request: Message, *metadata: tuple[str, str], who: str | None = "loan-desk") -> Any:
        name, kind = ("Score", wire.ScoreReply) if isinstance(request, wire.ScoreRequest) else ("Health", wire.HealthReply)
        async with self.connected(port, who) as channel:
            ask = channel.unary_unary(
                f"{SERVICE}/{name}",
                request_serializer=type(request).SerializeToString,
                response_deserializer=kind.FromString,
            )
            return await ask(request, metadata=metadata, timeout=patience(20))


@pytest.fixture
def office(tmp_path: Path) -> Office:
    return Office(tmp_path)


def row(id: str, **columns: Any) -> wire.Row:
    given = struct_pb2.Struct()
    given.update(columns)
    return wire.Row(id=id, columns=given) if columns else wire.Row(id=id)


@pytest.mark.parametrize(
    ("rows", "period", "asked"),
    [
        ([row("A")], "", {"id": "A"}),
        ([row("A"), row("企业")], "2026-01", {"ids": ["A", "企业"], "period": "2026-01"}),
        ([row("A", debt=1.5, kind=None)], "", {"id": "A", "columns": {"debt": 1.5, "kind": None}}),
        (
            [row("A", good=True), row("B", good="no")], "",
            {"rows": [{"id": "A", "columns": {"good": True}}, {"id": "B", "columns": {"good": "no"}}]},
        ),
    ],
)  # fmt: skip
async def test_what_is_asked_for_is_what_https_has(office: Office, rows: list[wire.Row], period: str, asked: Any) -> None:
    async with office.open() as server:
        await office.call(server.port, wire.ScoreRequest(rows=rows, period=period), KEY)
    assert office.service.asked == [("certificate:loan-desk", "7f1c", Asked.model_validate(asked))]


async def test_the_answer_is_whole_and_says_whether_it_was_given_before(office: Office) -> None:
    async with office.open() as server:
        first, again = [await office.call(server.port, wire.ScoreRequest(rows=[row(id)]), KEY) for id in ("A", "before")]
        health = await office.call(server.port, wire.HealthRequest())
    assert first.results[0].grid_reasons.texts == ["Falling use", "Late"] and not first.results[1].HasField("grid_reasons")
    assert (first.replayed, again.replayed, first.runs_out) == (False, True, True)
    found = MessageToDict(first, preserving_proto_field_name=True)
    for result, want in zip(found["results"], (RESULT, NONE), strict=True):
        texts = result.pop("grid_reasons", {"texts": None})["texts"]
        assert {**{name: want[name] for name in want if want[name] in (None, [])}, **result, "grid_reasons": texts} == want
    assert (first.cost.stock_left, first.model.version, first.features.as_of) == (41, 3, "2026-01")
    assert (health.serving, health.stock_left, health.lasts_until) == (True, 41, "2026-02-01T06:30:00Z")
    assert not health.HasField("why")


@pytest.mark.parametrize(
    ("model", "message", "more"),
    [
        (messages.Answered, wire.ScoreReply, {"replayed", "runs_out"}),
        (messages.Result, wire.Result, set()),
        (messages.Model, wire.Model, set()),
        (messages.Features, wire.Features, set()),
        (messages.Cost, wire.Cost, set()),
        (messages.Health, wire.HealthReply, set()),
    ],
)
def test_messages_have_the_fields_that_json_has(model: type[BaseModel], message: Any, more: set[str]) -> None:
    assert set(message.DESCRIPTOR.fields_by_name) == set(model.model_fields) | more


@pytest.mark.parametrize(
    ("request_", "metadata", "code", "status", "field"),
    [
        (wire.ScoreRequest(), [KEY], "INVALID_ARGUMENT", 422, "rows"),
        (wire.ScoreRequest(rows=[row("A")] * 1001), [KEY], "INVALID_ARGUMENT", 422, "rows"),
        (wire.ScoreRequest(rows=[row("A"), row("B", debt=1.0)]), [KEY], "INVALID_ARGUMENT", 422, "rows"),
        (wire.ScoreRequest(rows=[row("")]), [KEY], "INVALID_ARGUMENT", 422, "id"),
        (wire.ScoreRequest(rows=[row("A", debt=[1.0])]), [KEY], "INVALID_ARGUMENT", 422, "columns.debt"),
        (wire.ScoreRequest(rows=[row("A")], period="2026-13"), [KEY], "INVALID_ARGUMENT", 422, "period"),
        (wire.ScoreRequest(rows=[row("A")]), [], "INVALID_ARGUMENT", 422, "idempotency-key"),
        (wire.ScoreRequest(rows=[row("A")]), [KEY, KEY], "INVALID_ARGUMENT", 422, "idempotency-key"),
        (wire.ScoreRequest(rows=[row("down")]), [KEY], "UNAVAILABLE", 503, None),
        (wire.ScoreRequest(rows=[row("bug")]), [KEY], "INTERNAL", 500, None),
    ],
)
async def test_an_error_says_what_is_wrong_and_what_to_do(
    office: Office, request_: wire.ScoreRequest, metadata: list[tuple[str, str]], code: str, status: int, field: str | None
) -> None:
    async with office.open() as server:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await office.call(server.port, request_, *metadata)
    trailing = dict(caught.value.trailing_metadata() or ())
    problem = json.loads(trailing[PROBLEM])
    assert caught.value.code() is grpc.StatusCode[code] and caught.value.details() == problem["detail"]
    assert (problem["status"], problem.get("field")) == (status, field) and problem["remedy"]
    assert trailing.get("retry-after") == ("30" if status == 503 else None)
    assert "of nobody's" not in str(caught.value)  # what an error of ours says is for the log


@pytest.mark.parametrize("sent", [[b"\xff"], []])
async def test_what_is_no_message_is_refused_and_not_logged(
    office: Office, sent: list[bytes], caplog: pytest.LogCaptureFixture
) -> None:
    async with office.open() as server, office.connected(server.port, "loan-desk") as channel:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await channel.stream_unary(f"{SERVICE}/Score")(iter(sent), metadata=[KEY], timeout=patience(20))
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT and "ScoreRequest" in (caught.value.details() or "")
    assert "no message" in json.loads(dict(caught.value.trailing_metadata() or ())[PROBLEM])["detail"] and not caplog.records


async def test_a_call_whose_message_does_not_come_ends_and_who_is_unknown_hears_so_before(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def never() -> AsyncIterator[bytes]:
        await asyncio.Event().wait()
        yield b""

    async def called(who: str) -> grpc.aio.AioRpcError:
        async with office.connected(server.port, who) as channel:
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await channel.stream_unary(f"{SERVICE}/Score")(never(), metadata=[KEY], timeout=patience(20))
        return caught.value

    async with office.open() as server:
        assert (await called("stranger")).code() is grpc.StatusCode.PERMISSION_DENIED
        monkeypatch.setattr("common.wire.office._WHOLE", 0.1)
        assert "has not come within 0.1 s" in ((await called("loan-desk")).details() or "")


async def test_a_crowd_is_refused_and_who_is_served_is_not_held_up(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("common.wire.office._MOST", 2)
    async with office.open() as server:
        waits = [asyncio.create_task(office.call(server.port, wire.ScoreRequest(rows=[row("waits")]), KEY)) for _ in range(2)]
        while len(office.service.asked) < 2:
            await asyncio.sleep(0.01)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await office.call(server.port, wire.ScoreRequest(rows=[row("A")]), KEY)
        assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED and len(office.service.asked) == 2
        office.service.goes_on.set()
        assert [(await one).session for one in waits] == ["score-1"] * 2


async def test_connections_that_nobody_known_calls_on_shut_nobody_out(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("common.wire.office.Room.of", lambda _: Room(20, 10, 5))
    async with office.open() as server, office.connected(server.port, "loan-desk") as channel, AsyncExitStack() as held:
        ask = channel.unary_unary(f"{SERVICE}/Health", wire.HealthRequest.SerializeToString, wire.HealthReply.FromString)
        assert (await ask(wire.HealthRequest(), timeout=patience(20))).serving
        silent = [held.enter_context(socket.create_connection(("127.0.0.1", server.port), patience(10))) for _ in range(15)]
        while server._unproven.cut < 10:  # the oldest of them, above five of one address
            await asyncio.sleep(0.01)
        assert [await asyncio.to_thread(line.recv, 1) for line in silent[:5]] == [b""] * 5
        assert (await ask(wire.HealthRequest(), timeout=patience(20))).serving
        assert (await office.call(server.port, wire.HealthRequest())).serving


async def test_a_long_error_reaches_a_client_that_takes_8_kib_of_metadata(office: Office) -> None:
    async with office.open() as server:
        for name in ("x" * 100_000, "税" * 10_000):
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await office.call(server.port, wire.ScoreRequest(rows=[row("A", **{name: [1.0]})]), KEY)
            problem = json.loads(dict(caught.value.trailing_metadata() or ())[PROBLEM])
            assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
            assert problem["field"][:-1] == f"columns.{name}"[: len(problem["field"]) - 1] and len(problem["field"]) > 90
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await office.call(server.port, wire.ScoreRequest(rows=[row("many")]), KEY)
    problem = json.loads(dict(caught.value.trailing_metadata() or ())[PROBLEM])
    assert caught.value.details() == problem["detail"] and problem["remedy"].startswith("The columns are: 列0, 列1")


def test_a_request_is_known_by_its_key_whichever_way_it_comes() -> None:
    columns = (
        '{"income": 125000, "debt": -3.0, "rate": 0.1, "large": 12345678901234567890, "kind": "1.0", "late": true, "no": null}'
    )
    given = struct_pb2.Struct()
    given.update(json.loads(columns))
    one = read(wire.ScoreRequest(rows=[wire.Row(id="A", columns=given)]))
    some = read(wire.ScoreRequest(rows=[wire.Row(id=id, columns=given) for id in "AB"], period="2026-01"))
    rows = f'[{{"id": "A", "columns": {columns}}}, {{"id": "B", "columns": {columns}}}]'
    for got, body in ((one, f'{{"id": "A", "columns": {columns}}}'), (some, f'{{"rows": {rows}, "period": "2026-01"}}')):
        assert digest(got.known_by()) == digest(Asked.model_validate_json(body).known_by())
    other = columns.replace("true", "1")
    assert digest(one.known_by()) != digest(Asked.model_validate_json(f'{{"id": "A", "columns": {other}}}').known_by())


@pytest.mark.parametrize("request_", [wire.ScoreRequest(rows=[row("A")]), wire.HealthRequest()])
async def test_nobody_is_served_who_may_not_ask(office: Office, request_: Message) -> None:
    async with office.open() as server:
        for who, code in (("stranger", grpc.StatusCode.PERMISSION_DENIED), (None, grpc.StatusCode.UNAVAILABLE)):
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await office.call(server.port, request_, KEY, who=who)
            assert caught.value.code() is code
    assert office.service.asked == []


async def test_a_connection_outlasts_no_certificate(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    later = time.time() + 1e9
    async with office.open() as server, office.connected(server.port, "loan-desk") as channel:
        ask = channel.unary_unary(f"{SERVICE}/Health", wire.HealthRequest.SerializeToString, wire.HealthReply.FromString)
        assert (await ask(wire.HealthRequest(), timeout=patience(20))).serving
        monkeypatch.setattr("common.web.callers.time", SimpleNamespace(time=lambda: later))
        with pytest.raises(grpc.aio.AioRpcError, match="expired") as caught:
            await ask(wire.HealthRequest(), timeout=patience(20))
    assert caught.value.code() is grpc.StatusCode.UNAUTHENTICATED


async def test_tokens_are_required_where_no_certificate_says_who_calls(office: Office) -> None:
    class Tokens:
        async def name(self, certificate: Any, authorization: str | None) -> str:
            assert certificate is None
            return f"subject:{authorization}"

    office.config = office.config.model_copy(update={"trust": None, "clients": ()})
    server = call_server(office.config, office.service, Tokens())  # type: ignore[arg-type]
    assert server is not None
    await server.start()
    try:
        await office.call(server.port, wire.ScoreRequest(rows=[row("A")]), KEY, ("authorization", "Bearer x"), who=None)
    finally:
        await server.stop(0.0)
    assert [caller for caller, _, _ in office.service.asked] == ["subject:Bearer x"]


def served(office: Office, port: int, most: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3) -> bytes:
    """The certificate that the server has, to a caller of at most this version of TLS."""
    context = office.pki.context("loan-desk")
    context.maximum_version = most
    with (
        socket.create_connection(("127.0.0.1", port), patience(10)) as line,
        context.wrap_socket(line, server_hostname="localhost") as tls,
    ):
        return tls.getpeercert(binary_form=True) or b""


@pytest.fixture
def before(office: Office) -> Iterator[bytes]:
    yield (office.pki.folder / "online.pem").read_bytes()


async def test_tls_is_1_3_alone_and_a_certificate_that_was_replaced_serves_new_callers(office: Office, before: bytes) -> None:
    async with office.open() as server:
        with pytest.raises(OSError):  # what exactly is OpenSSL's matter
            await asyncio.to_thread(served, office, server.port, ssl.TLSVersion.TLSv1_2)
        assert await asyncio.to_thread(served, office, server.port) == ssl.PEM_cert_to_DER_cert(before.decode())
        office.pki.issue("online")
        renewed = ssl.PEM_cert_to_DER_cert((office.pki.folder / "online.pem").read_text())
        assert await asyncio.to_thread(served, office, server.port) == renewed != ssl.PEM_cert_to_DER_cert(before.decode())
        (office.pki.folder / "online.pem").write_text("none")
        assert await asyncio.to_thread(served, office, server.port) == renewed


def test_files_that_cannot_be_used_are_named(office: Office) -> None:
    (office.pki.folder / "online.pem").write_text("none")
    with pytest.raises(ConfigError, match=r"online\.pem.*online\.key"):
        office.server()


async def test_an_address_that_is_taken_is_named(office: Office) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        office.config = office.config.model_copy(update={"grpc": f"127.0.0.1:{taken.getsockname()[1]}"})
        with pytest.raises(ConfigError, match=r"cannot serve .*127\.0\.0\.1"):
            await office.server().start()

"""A connection to one server over mTLS: unary calls and streams by the names of the protobuf services."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

import grpc
from google.protobuf import message_factory
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import Message

from common.errors import PeerLost, WattScoreError
from common.party import Identity
from common.text import traces
from common.trust.authority import TrustStore
from common.unheard import unheard
from common.wire.frames import Piece, Together, codec
from common.wire.proof import Challenge
from common.wire.server import KEEPALIVE, distrusted, in_time
from common.wire.status import from_rpc
from common.wire.tls import Credentials

# Reconnect quickly: a peer that has just started must not wait out a minute's back-off.
CALL = 30.0  # seconds one request may take
_LAST = 2.0  # seconds that a server has to end a stream which is closed here
_CAUSE = 10.0  # seconds in which a call that was refused must say why
_OPENING = 1.0  # seconds of trying again to connect, as where a crowd of others at the server's port was in the way

_OPTIONS = [
    *KEEPALIVE,
    ("grpc.enable_http_proxy", 0),  # a proxy of the environment sees to browsers; it would hold up every process here
    ("grpc.initial_reconnect_backoff_ms", 200),
    ("grpc.max_reconnect_backoff_ms", 2000),
]


class Stream:
    """A bidirectional call. `read` gives None at the end; a broken connection or a refusal raises its cause.

    Nothing is written before the server has proven who it is; once its certificate is trusted no more, the stream is cut.
    """

    def __init__(self, begin: Callable[[], Awaitable[tuple[Any, Challenge]]], server: Identity, trust: TrustStore) -> None:
        """begin: makes the call, at the first use."""
        self._begin, self._server, self._trust = begin, server, trust
        self._call: Any = None
        # By `call.read` nothing could be read any more once a write came too late, not even what has arrived.
        self._incoming: AsyncGenerator[Any] | None = None
        self._proof: asyncio.Task[None] | None = None
        self._cut: WattScoreError | None = None

    async def read(self) -> Any:
        call = await self._proven()
        if self._incoming is None:
            self._incoming = aiter(call)
        try:
            message = await anext(self._incoming, None)
            if message is not None or not call.cancelled():
                return message
            failure: Exception = self._closed()
        except grpc.aio.AioRpcError as error:
            failure = from_rpc(error, self._server)
        except asyncio.CancelledError:
            if not call.cancelled() or asyncio.current_task().cancelling():  # type: ignore[union-attr]
                raise
            failure = self._closed()
        del call  # who keeps the failure keeps this frame, and all that it was raised in the course of: see `close`
        raise failure

    async def write(self, message: Message | Piece | Together) -> None:
        call = await self._proven()
        try:
            await call.write(message)
            return
        except grpc.aio.AioRpcError as error:
            failure: Exception = from_rpc(error, self._server)
            if error.code() is grpc.StatusCode.INTERNAL and not error.trailing_metadata():
                # A write that comes too late: grpc then forgets why the other has ended the stream.
                failure = PeerLost(f"{self._server} has ended the stream", remedy="See its log.")
        except asyncio.InvalidStateError:
            failure = self._cut or await self._cause(call)
        del call  # as above
        raise failure

    async def broken(self) -> WattScoreError:
        """Why the stream broke or was cut, once it has, also while nobody reads; never where a side ends it or says why."""
        over = asyncio.Event()
        (await self._proven()).add_done_callback(lambda _: over.set())
        await over.wait()  # in no frame that a task's end would keep is the call meanwhile: see `close`
        if (call := self._call) is not None and self._cut is None and not call.cancelled():
            error = await self._cause(call)
            if isinstance(error, PeerLost) and not error.origin and await call.code() is not grpc.StatusCode.OK:
                return error
        del call
        return self._cut or await asyncio.Future[WattScoreError]()

    async def _proven(self) -> Any:
        """The call, once the server has proven who it is: reader and writer may both come first."""
        if self._proof is None:
            self._proof = unheard(asyncio.create_task(self._check()))
        if not self._proof.done() or self._proof.exception():
            await asyncio.shield(self._proof)
        if self._call is None:
            raise self._closed()
        return self._call

    def _closed(self) -> WattScoreError:
        return self._cut or PeerLost(f"the stream to {self._server} was closed")

    async def _check(self) -> None:
        call, challenge = await self._begin()
        self._call = call
        answer = await call.initial_metadata()
        if not answer:  # refused, or never connected: the status says why
            cause = None
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_CAUSE):
                    cause = await self._cause(call)
            if cause is not None:
                del call
                raise cause
        try:
            certificate = await in_time(lambda: challenge.check(answer, self._server, self._trust))
        except WattScoreError:
            call.cancel()
            raise
        watch = asyncio.create_task(distrusted(certificate, self._trust, self._distrust))
        call.add_done_callback(lambda _: watch.cancel())

    def _distrust(self, cause: WattScoreError) -> None:
        self._cut = cause
        if self._call is not None:
            self._call.cancel()

    async def close(self) -> None:
        """Says that nothing more will be written, and waits a moment for the other to finish.

        The call is let go of: as long as it is held gRPC keeps its connection, also of a channel that was closed.
        """
        call, self._call, incoming, self._incoming = self._call, None, self._incoming, None
        if call is None:
            if self._proof is not None:
                self._proof.cancel()
            return
        last = asyncio.create_task(_last(call))
        try:
            await asyncio.wait({last})
        finally:  # also where who closes it is cancelled, in whose frames nothing of the call stays
            call.cancel()
            if incoming is not None:
                with contextlib.suppress(RuntimeError):  # somebody reads, and ends it so
                    await incoming.aclose()
            del call, incoming, last

    async def _cause(self, call: Any) -> Exception:
        code, details, trailing = await call.code(), await call.details(), await call.trailing_metadata()
        if code is grpc.StatusCode.OK:
            return PeerLost(f"{self._server} has closed the stream")
        return from_rpc(grpc.aio.AioRpcError(code, await call.initial_metadata(), trailing, details), self._server)


async def _last(call: Any) -> None:
    with contextlib.suppress(Exception):
        async with asyncio.timeout(_LAST):  # of both: what was written before may wait for a server that reads no more
            await call.done_writing()
            await call.code()


@dataclass
class _Line:
    """A channel, the certificate (PEM) that it presents, and how many calls of it are not over."""

    channel: grpc.aio.Channel
    certificate: bytes
    calls: int = 0


class Connection:
    """To one server, known by its identity; connects when first used and again when it must."""

    def __init__(
        self, address: str, server: Identity, credentials: Credentials, options: Sequence[tuple[str, int]] = ()
    ) -> None:
        """options: of gRPC's channel, beside those that all have."""
        self.server, self._address, self._credentials, self._options = server, address, credentials, options
        self._stamp = credentials.stamp(server)
        self._lines, self._closing = [self._connect()], set[asyncio.Task[None]]()

    def apart(self, port: int = 0) -> Connection:
        """Another to the same server, of a TCP connection of its own: gRPC would have equal channels share one.

        port: of a process of the same identity on the same machine; 0: this server's.
        """
        host, _, own = self._address.rpartition(":")
        address = f"{host}:{port or own}"
        return Connection(address, self.server, self._credentials, (("grpc.use_local_subchannel_pool", 1),))

    def _connect(self) -> _Line:
        own = self._credentials.own()
        channel_credentials, options = self._credentials.channel(self.server, own)
        channel = grpc.aio.secure_channel(self._address, channel_credentials, options=[*_OPTIONS, *options, *self._options])
        return _Line(channel, own.certificate)

    def _use(self, method: MethodDescriptor) -> tuple[_Line, Challenge]:
        """The channel for a new call. When files of the credentials were replaced, a new one; running calls keep theirs."""
        if (stamp := self._credentials.stamp(self.server)) != self._stamp:
            self._lines.append(self._connect())
            self._stamp = stamp
        line = self._lines[-1]
        line.calls += 1
        self._let_go()
        return line, Challenge.new(_path(method), line.certificate)

    def _over(self, line: _Line) -> None:
        """A call that `_use` was asked for is over."""
        line.calls -= 1
        self._let_go()

    def _let_go(self) -> None:
        """Closes channels before the last that no call needs any more: each keeps a connection, alive by its own pings."""
        for line in [line for line in self._lines[:-1] if not line.calls]:
            self._lines.remove(line)
            closing = asyncio.ensure_future(line.channel.close())
            self._closing.add(closing)
            closing.add_done_callback(self._closing.discard)

    async def _open(self, method: MethodDescriptor) -> tuple[_Line, Challenge]:
        """As `_use`, once connected, or after some attempts at it: a call on a channel that is not says why."""
        line, challenge = self._use(method)
        try:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_OPENING):
                    await line.channel.channel_ready()
        except BaseException as error:
            self._over(line)
            if isinstance(error, grpc.aio.UsageError):
                raise PeerLost(f"the connection to {self.server} was closed here") from None
            raise
        return line, challenge

    async def call(self, method: MethodDescriptor, request: Message, timeout: float = CALL) -> Any:
        """One request, one reply within `timeout` seconds; raises the error the server reported, IdentityError or PeerLost."""
        line, challenge = await self._open(method)
        begin = line.channel.unary_unary(_path(method), *_codec(method))
        try:
            call = begin(request, timeout=timeout, metadata=_metadata(challenge))
            reply = await call
            await self._proven(challenge, await call.initial_metadata())
        except grpc.aio.AioRpcError as error:
            if error.code() is grpc.StatusCode.DEADLINE_EXCEEDED:
                raise PeerLost(
                    f"{self.server} did not answer {method.name} within {timeout:g} s",
                    remedy="See its log and how busy it is, and whether packets are lost on the way.",
                ) from None
            raise from_rpc(error, self.server) from None
        finally:
            self._over(line)
        return reply

    async def subscribe(self, method: MethodDescriptor, request: Message) -> AsyncGenerator[Any]:
        """One request, a stream of replies, to be closed."""
        line, challenge = await self._open(method)
        call = line.channel.unary_stream(_path(method), *_codec(method))(request, metadata=_metadata(challenge))
        proven = False
        try:
            async for reply in call:
                if not proven:
                    await self._proven(challenge, await call.initial_metadata())
                    proven = True
                yield reply
        except grpc.aio.AioRpcError as error:
            raise from_rpc(error, self.server) from None
        finally:
            call.cancel()
            self._over(line)

    async def _proven(self, challenge: Challenge, answered: Any) -> None:
        await in_time(lambda: challenge.check(answered, self.server, self._credentials.trust))

    def stream(self, method: MethodDescriptor) -> Stream:
        """A bidirectional stream."""

        async def begin() -> tuple[Any, Challenge]:
            line, challenge = await self._open(method)
            call = line.channel.stream_stream(_path(method), *_codec(method))(metadata=_metadata(challenge))
            call.add_done_callback(lambda _: self._over(line))
            return call, challenge

        return Stream(begin, self.server, self._credentials.trust)

    async def close(self) -> None:
        for line in tuple(self._lines):  # a call that ends by this takes its line off the list
            await line.channel.close()
        await asyncio.gather(*self._closing)


async def close_all(streams: Sequence[Stream], connections: Sequence[Connection]) -> None:
    """Ends streams that are of one conversation side by side, as none may end by itself, then connections made for them."""
    try:
        await asyncio.gather(*(stream.close() for stream in streams))
    finally:
        await asyncio.gather(*(connection.close() for connection in connections))


def _metadata(challenge: Challenge) -> Any:
    """Of a call: what the server has to sign, and in which span it is made, where spans are collected."""
    return (*challenge.metadata, *traces.outgoing())


def _path(method: MethodDescriptor) -> str:
    return f"/{method.containing_service.full_name}/{method.name}"


def _codec(method: MethodDescriptor) -> tuple[Any, Any]:
    request, reply = (codec(message_factory.GetMessageClass(kind)) for kind in (method.input_type, method.output_type))
    return request[0], reply[1]

"""A connection to one server over mTLS: unary calls and streams by the names of the protobuf services."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import grpc
from google.protobuf import message_factory
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import Message

from common.errors import PeerLost
from common.party import Identity
from common.wire.frames import Piece, codec
from common.wire.server import KEEPALIVE
from common.wire.status import from_rpc
from common.wire.tls import Credentials

# Reconnect quickly: a peer that has just started must not wait out a minute's back-off.
_OPTIONS = [*KEEPALIVE, ("grpc.initial_reconnect_backoff_ms", 200), ("grpc.max_reconnect_backoff_ms", 2000)]


class Stream:
    """A bidirectional call. `read` gives None at the end; a broken connection or a refusal raises its cause."""

    def __init__(self, call: Any, server: Identity) -> None:
        self._call, self._server = call, server

    async def read(self) -> Any:
        try:
            message = await self._call.read()
        except grpc.aio.AioRpcError as error:
            raise from_rpc(error, self._server) from None
        except asyncio.CancelledError:
            if self._call.cancelled() and not asyncio.current_task().cancelling():  # type: ignore[union-attr]
                raise PeerLost(f"the stream to {self._server} was closed") from None
            raise
        return None if message is grpc.aio.EOF else message

    async def write(self, message: Message | Piece) -> None:
        try:
            await self._call.write(message)
        except grpc.aio.AioRpcError as error:
            if error.code() is grpc.StatusCode.INTERNAL and not error.trailing_metadata():
                # A write that comes too late: grpc then forgets why the other has ended the stream.
                raise PeerLost(f"{self._server} has ended the stream", remedy="See its log.") from None
            raise from_rpc(error, self._server) from None
        except asyncio.InvalidStateError:
            raise await self._cause() from None

    async def close(self) -> None:
        """Says that nothing more will be written, and waits a moment for the other to finish."""
        with contextlib.suppress(Exception):
            await self._call.done_writing()
            await asyncio.wait_for(self._call.code(), 2.0)
        self._call.cancel()

    async def _cause(self) -> Exception:
        code, details, trailing = (
            await self._call.code(),
            await self._call.details(),
            await self._call.trailing_metadata(),
        )
        if code is grpc.StatusCode.OK:
            return PeerLost(f"{self._server} has closed the stream")
        return from_rpc(grpc.aio.AioRpcError(code, await self._call.initial_metadata(), trailing, details), self._server)


class Connection:
    """To one server, known by its identity; connects when first used and again when it must."""

    def __init__(self, address: str, server: Identity, credentials: Credentials) -> None:
        self.server, self._address, self._credentials = server, address, credentials
        self._stamp = credentials.stamp(server)
        self._channels = [self._connect()]

    def _connect(self) -> grpc.aio.Channel:
        channel_credentials, options = self._credentials.channel(self.server)
        return grpc.aio.secure_channel(self._address, channel_credentials, options=[*_OPTIONS, *options])

    @property
    def _channel(self) -> grpc.aio.Channel:
        """The channel for new calls. When files of the credentials were replaced, a new one; running calls keep theirs."""
        if (stamp := self._credentials.stamp(self.server)) != self._stamp:
            self._channels.append(self._connect())
            self._stamp = stamp
        return self._channels[-1]

    async def call(self, method: MethodDescriptor, request: Message, timeout: float = 10.0) -> Any:
        """One request, one reply; raises the error the server reported, IdentityError or PeerLost."""
        try:
            return await self._channel.unary_unary(_path(method), *_codec(method))(request, timeout=timeout)
        except grpc.aio.AioRpcError as error:
            raise from_rpc(error, self.server) from None

    async def subscribe(self, method: MethodDescriptor, request: Message) -> AsyncIterator[Any]:
        """One request, a stream of replies."""
        call = self._channel.unary_stream(_path(method), *_codec(method))(request)
        try:
            async for reply in call:
                yield reply
        except grpc.aio.AioRpcError as error:
            raise from_rpc(error, self.server) from None
        finally:
            call.cancel()

    def stream(self, method: MethodDescriptor) -> Stream:
        """A bidirectional stream."""
        return Stream(self._channel.stream_stream(_path(method), *_codec(method))(), self.server)

    async def close(self) -> None:
        for channel in self._channels:
            await channel.close()


def _path(method: MethodDescriptor) -> str:
    return f"/{method.containing_service.full_name}/{method.name}"


def _codec(method: MethodDescriptor) -> tuple[Any, Any]:
    request, reply = (codec(message_factory.GetMessageClass(kind)) for kind in (method.input_type, method.output_type))
    return request[0], reply[1]

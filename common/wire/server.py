"""A gRPC server over mTLS: decode, check who calls, call the handler, encode; errors become status codes with their cause."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeVar

import grpc
from google.protobuf import message_factory
from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor
from google.protobuf.message import Message
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from common.errors import ConfigError, PeerLost, WattScoreError
from common.party import Identity
from common.text import traces
from common.trust.authority import TrustStore, fingerprint, verify_peer
from common.trust.lastgood import KEEP
from common.wire.frames import Piece, Together, codec
from common.wire.proof import prove
from common.wire.status import FAULT_KEY, code_of, to_fault
from common.wire.tls import Credentials, caller_certificate
from common.wire.unproven import HANDSHAKE, Room, Unproven, descriptors

_log = logging.getLogger(__name__)

# A line that falls silent without closing is found by pings within 8 s; the other side must allow them that often.
# ping_timeout_ms, a minute by default, is what ends such a connection: keepalive_timeout_ms alone does not.
KEEPALIVE: list[tuple[str, int]] = [
    ("grpc.keepalive_time_ms", 2000),
    ("grpc.keepalive_timeout_ms", 3000),
    ("grpc.http2.ping_timeout_ms", 6000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.max_pings_without_data", 0),
]
_SERVER_OPTIONS = [*KEEPALIVE, ("grpc.http2.max_ping_strikes", 0), ("grpc.so_reuseport", 0)]

# A write to a caller who has just left raises grpc's ExecuteBatchError, which is none of the documented errors.
_BROKEN = (grpc.RpcError, grpc.aio.BaseError)


LOOK = 1.0  # seconds between two looks at whether the other end of an open stream is still trusted
# Of their own: on a disk that hangs the looks of a few streams would take every thread that jobs wait for.
_LOOKING = ThreadPoolExecutor(4, "trusted")
_ASKING = ThreadPoolExecutor(4, "asked")  # for new calls, which are not to wait for the looks of many streams
ANSWERED = 10.0  # seconds in which the folder of trust is to be read for one
T = TypeVar("T")


class Call:
    """One incoming call: who calls, its stream, and why it was cut off, if it was."""

    def __init__(self, context: grpc.aio.ServicerContext[Any, Any], identity: Identity) -> None:
        self._context, self.identity = context, identity
        self._writing = asyncio.Lock()  # a write while another goes on is refused by gRPC, as if the connection had broken
        self.cause: WattScoreError | None = None
        self._distrust: Callable[[], WattScoreError | None] = lambda: None

    async def read(self) -> Any:
        """The next message, None at the end of the stream; raises PeerLost when the connection broke."""
        try:
            message = await self._context.read()
        except _BROKEN as error:
            raise await self._broken() from error
        return None if message is grpc.aio.EOF else message

    async def write(self, message: Message | Piece | Together) -> None:
        try:
            async with self._writing:
                await self._context.write(message)
        except _BROKEN as error:
            raise await self._broken() from error

    async def broken(self) -> WattScoreError:
        """Never: whoever dialled watches a line, and tells the job's coordinator."""
        return await asyncio.Future[WattScoreError]()

    async def _broken(self) -> WattScoreError:
        """Why: a caller that is trusted no more may have been cut by others before it was here."""
        return await self.refused() or PeerLost(f"the connection from {self.identity} broke")

    async def refused(self) -> WattScoreError | None:
        """Why the caller is trusted no more, if so: another of its streams may be cut for that before this one is.

        None where it cannot be told in time: what else is known of the caller's end is then not lost, and the watch goes on.
        """
        if self.cause is None:
            with suppress(PeerLost):
                found = await in_time(self._distrust)
                self.cause = self.cause or found
        return self.cause

    @asynccontextmanager
    async def trusted(self, certificate: bytes, trust: TrustStore) -> AsyncIterator[None]:
        """Ends what runs within, with IdentityError, as soon as the caller's certificate (PEM) is trusted no more."""
        within = asyncio.current_task()
        assert within is not None  # noqa: S101
        self._distrust = lambda: distrust(certificate, trust)

        def cut(error: WattScoreError) -> None:
            self.cause = error
            within.cancel()

        watch = asyncio.create_task(distrusted(certificate, trust, cut))
        try:
            yield
        except asyncio.CancelledError:
            if self.cause is None or within.uncancel() > 0:
                raise
            raise self.cause from None
        finally:
            watch.cancel()


def distrust(certificate: bytes, trust: TrustStore) -> WattScoreError | None:
    """Why `certificate` (PEM), at the other end of an open connection, is trusted no more: revoked, its CA removed, or for too
    long nobody could tell. One that merely expires is trusted: None.
    """
    try:
        verify_peer(certificate, trust, None)
    except WattScoreError as error:
        return error
    return None


async def in_time(look: Callable[[], T]) -> T:
    """What `look` finds in the folder of trust for a call, in threads for this alone, as a slow disk holds up no loop.

    Raises PeerLost where that takes longer than a call is worth: nobody is trusted unseen.
    """
    try:
        async with asyncio.timeout(ANSWERED):
            return await asyncio.get_running_loop().run_in_executor(_ASKING, look)
    except TimeoutError:
        raise PeerLost(
            f"whether a certificate is trusted could not be told here within {ANSWERED:.0f} s",
            remedy="See whether the disk with the folder of trust answers.",
        ) from None


async def distrusted(certificate: bytes, trust: TrustStore, then: Callable[[WattScoreError], None]) -> None:
    """Waits until `certificate` is trusted no more, and says why to `then`. In threads for this alone: a slow disk holds up
    neither a stream nor a job.

    Where that cannot be looked at, or for as long as `LastGood` keeps what it read, it is not: a watch that ends in silence
    would let a revoked one go on for ever.
    """
    error: WattScoreError | None = None
    while error is None:
        await asyncio.sleep(LOOK)  # it has just been verified
        try:
            async with asyncio.timeout(KEEP):
                error = await asyncio.get_running_loop().run_in_executor(_LOOKING, distrust, certificate, trust)
        except Exception as failed:
            _log.exception("whether the other end of a stream is trusted cannot be told: the stream ends")
            error = PeerLost(
                f"whether a certificate is trusted cannot be told here: {type(failed).__name__}", remedy="See the log."
            )
    then(error)


Handler = Callable[[Any, Call], Awaitable[Any]]


@dataclass(frozen=True)
class Service:
    """A protobuf service and a coroutine for each method: (request or None, call) -> reply or None for streams of replies."""

    descriptor: ServiceDescriptor
    handlers: Mapping[str, Handler]


class _Checks(health.aio.HealthServicer):  # type: ignore[misc]  # it has no types
    """The standard health service, which also proves who it is to a caller that asks."""

    def __init__(self, credentials: Credentials, unproven: Unproven) -> None:
        super().__init__()
        self._credentials, self._unproven = credentials, unproven

    async def Check(self, request: Any, context: grpc.aio.ServicerContext[Any, Any]) -> Any:  # noqa: N802  # grpc's name
        self._unproven.proven(context.peer())
        path = f"/{health.SERVICE_NAME}/Check"
        asked, caller = context.invocation_metadata(), caller_certificate(context)
        await context.send_initial_metadata(prove(asked, path, caller, self._credentials.own()))
        return await super().Check(request, context)


class Server:
    """A running server. `port` is the one really bound."""

    def __init__(self, server: grpc.aio.Server, port: int, checks: health.aio.HealthServicer, unproven: Unproven) -> None:
        self._server, self.port, self._checks, self._unproven = server, port, checks, unproven

    async def stop(self, grace: float = 2.0) -> None:
        """Reports NOT_SERVING, refuses new calls, gives running ones `grace` seconds."""
        await self._checks.enter_graceful_shutdown()
        await self._server.stop(grace)
        self._unproven.stop()


async def serve(
    address: str,
    credentials: Credentials,
    orgs: Iterable[str],
    services: Iterable[Service],
    *,
    origin: str,
    reflect: bool = False,
) -> Server:
    """Serves `services` and the health service at `address` (HOST:PORT, port 0: any) to processes of `orgs` over mTLS.

    Raises ConfigError when the address cannot be bound.
    """
    room = Room.of(descriptors())
    limits = [("grpc.max_allowed_incoming_connections", room.most), ("grpc.server_handshake_timeout_ms", int(HANDSHAKE * 1000))]
    server, unproven = grpc.aio.server(options=[*_SERVER_OPTIONS, *limits]), Unproven(room)
    names = []
    for service in services:
        methods = {
            name: _method(service.descriptor.methods_by_name[name], handler, credentials, unproven, origin)
            for name, handler in service.handlers.items()
        }
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service.descriptor.full_name, methods),))
        names.append(service.descriptor.full_name)
    checks = _Checks(credentials, unproven)
    health_pb2_grpc.add_HealthServicer_to_server(checks, server)
    if reflect:
        reflection.enable_server_reflection((*names, health.SERVICE_NAME, reflection.SERVICE_NAME), server)
    try:
        port = server.add_secure_port(address, credentials.server(orgs))
    except RuntimeError as error:
        raise ConfigError(
            f"cannot listen on {address}: {error}",
            remedy="Check that the port is free and the address is this machine's.",
        ) from None
    await server.start()
    unproven.start(port)
    for name in ("", *names):
        await checks.set(name, health_pb2.HealthCheckResponse.SERVING)
    return Server(server, port, checks, unproven)


def _method(
    method: MethodDescriptor, handler: Handler, credentials: Credentials, unproven: Unproven, origin: str
) -> grpc.RpcMethodHandler[Any, Any]:
    request, reply = (codec(message_factory.GetMessageClass(kind)) for kind in (method.input_type, method.output_type))
    coding = {"request_deserializer": request[1], "response_serializer": reply[0]}

    path = f"/{method.containing_service.full_name}/{method.name}"

    async def run(message: Any, context: grpc.aio.ServicerContext[Any, Any]) -> Any:
        unproven.proven(context.peer())
        try:
            certificate = caller_certificate(context)
            call = Call(context, await in_time(lambda: verify_peer(certificate, credentials.trust, datetime.now(UTC))))
            await context.send_initial_metadata(prove(context.invocation_metadata(), path, certificate, credentials.own()))
            if method.client_streaming:
                _log.info("%s by %s, certificate %s", method.name, call.identity, fingerprint(certificate)[:23])
            async with call.trusted(certificate, credentials.trust):
                if not (called := traces.incoming(context.invocation_metadata())):
                    return await handler(message, call)
                with traces.spanning(method.name, called=called):
                    return await handler(message, call)
        except Exception as error:
            await _refuse(context, error, f"{method.full_name}", origin)

    async def run_stream(messages: Any, context: grpc.aio.ServicerContext[Any, Any]) -> None:
        await run(None if method.client_streaming else messages, context)

    if method.client_streaming:
        return grpc.stream_stream_rpc_method_handler(run_stream, **coding)
    if method.server_streaming:
        return grpc.unary_stream_rpc_method_handler(run_stream, **coding)
    return grpc.unary_unary_rpc_method_handler(run, **coding)


async def _refuse(context: grpc.aio.ServicerContext[Any, Any], error: Exception, what: str, origin: str) -> None:
    if isinstance(error, grpc.aio.AbortError):
        raise error
    if isinstance(error, WattScoreError):
        _log.warning("%s: %s", what, error)
    else:
        _log.exception("%s failed", what)
    fault = to_fault(error, origin)
    await context.abort(code_of(error), fault.message[:300], ((FAULT_KEY, fault.SerializeToString()),))

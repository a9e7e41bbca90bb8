"""A gRPC server for a party's own programs: TLS by a PKI of its own, not by that of the parties, and nobody's identity."""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import grpc
from cryptography import x509
from cryptography.x509.oid import NameOID
from google.protobuf import message_factory
from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor
from google.protobuf.json_format import ParseDict
from google.protobuf.message import DecodeError, Message

from common.errors import ConfigError
from common.wire.tls import TLS13_ONLY, read_key
from common.wire.unproven import HANDSHAKE, Room, Unproven, descriptors

_log = logging.getLogger(__name__)

M = TypeVar("M", bound=Message)

_CODES = {
    400: grpc.StatusCode.INVALID_ARGUMENT,
    401: grpc.StatusCode.UNAUTHENTICATED,
    403: grpc.StatusCode.PERMISSION_DENIED,
    408: grpc.StatusCode.DEADLINE_EXCEEDED,
    422: grpc.StatusCode.INVALID_ARGUMENT,
    503: grpc.StatusCode.UNAVAILABLE,
}
_OPTIONS = [
    ("grpc.so_reuseport", 0),
    ("grpc.max_receive_message_length", 1 << 20),
    ("grpc.max_metadata_size", 1 << 16),
    ("grpc.max_concurrent_streams", 100),
    ("grpc.max_connection_idle_ms", 75_000),
]
_MOST = 1000  # calls at once, of all connections
_WHOLE = 60.0  # seconds in which a call's message has to come
_Context = grpc.aio.ServicerContext[Any, Any]


@dataclass(frozen=True)
class Files:
    """PEM files. trust: CA certificates of callers, who must have one of them; None: it is found out otherwise who calls."""

    certificate: Path
    key: Path
    trust: Path | None


@dataclass(frozen=True, repr=False)
class Call:
    """Who calls, and what came beside the message. certificate: its names and its end, as `ssl` has them; None without `trust`.

    read: takes the message, once it is known that who calls may ask: connections on which none was are few; raises Unread.
    """

    certificate: Mapping[str, Any] | None
    metadata: tuple[tuple[str, str], ...]
    read: Callable[[], Awaitable[Any]]

    def said(self, name: str) -> str | None:
        """The metadata of this name; None where it is not there once."""
        found = [value for key, value in self.metadata if key == name]
        return found[0] if len(found) == 1 else None


class Refused(Exception):
    """Raised by a handler to end a call. status: as HTTP has it; trailing: metadata of the error."""

    def __init__(self, status: int, detail: str, trailing: tuple[tuple[str, str | bytes], ...]) -> None:
        super().__init__(detail)
        self.status, self.detail, self.trailing = status, detail, trailing


class Unread(Exception):
    """A call's message did not come, or is none. status: as HTTP has it."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


Handler = Callable[[Call], Awaitable[Message]]


class OfficeServer:
    """Serves calls of one request and one reply until `stop`. Raises ConfigError for files that cannot be used.

    handlers: of each method; they raise Refused. port: the one really bound.
    """

    def __init__(self, listen: str, files: Files, service: ServiceDescriptor, handlers: Mapping[str, Handler]) -> None:
        self._listen, self._files, self._service, self._handlers = listen, files, service, handlers
        self._credentials = _credentials(files)
        self._server: grpc.aio.Server | None = None
        self._room = Room.of(descriptors())
        self._unproven = Unproven(self._room)
        self.port = 0

    async def start(self) -> None:
        """Raises ConfigError for an address that cannot be bound."""
        methods = {name: self._method(self._service.methods_by_name[name], run) for name, run in self._handlers.items()}
        limits = [
            ("grpc.max_allowed_incoming_connections", self._room.most),
            ("grpc.server_handshake_timeout_ms", int(1000 * HANDSHAKE)),
        ]
        server = grpc.aio.server(options=[*_OPTIONS, *limits], maximum_concurrent_rpcs=_MOST)
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(self._service.full_name, methods),))
        try:
            self.port = server.add_secure_port(self._listen, self._credentials)
        except RuntimeError:
            remedy = "Check that the port is free and the address is this machine's."
            raise ConfigError(f"cannot serve {self._service.full_name} on {self._listen}", remedy=remedy) from None
        await server.start()
        self._server = server
        self._unproven.start(self.port)
        _log.info("%s by gRPC at %s", self._service.full_name, self._listen)

    async def stop(self, grace: float = 5.0) -> None:
        if self._server is not None:
            await self._server.stop(grace)
            self._unproven.stop()

    def _method(self, method: MethodDescriptor, handler: Handler) -> grpc.RpcMethodHandler[Any, Any]:
        request, reply = (message_factory.GetMessageClass(kind) for kind in (method.input_type, method.output_type))

        async def run(_: object, context: _Context) -> Message:
            def read() -> Awaitable[Message]:
                self._unproven.proven(context.peer())
                return _read(context, request)

            try:
                return await handler(self._call(context, read))
            except Refused as error:
                await _refuse(context, error)

        # To callers the same as a call of one message, which gRPC awaits for ever, and parses before it is known whose it is.
        return grpc.stream_unary_rpc_method_handler(run, response_serializer=reply.SerializeToString)

    def _call(self, context: _Context, read: Callable[[], Awaitable[Any]]) -> Call:
        metadata = tuple((key, value) for key, value in context.invocation_metadata() or () if isinstance(value, str))
        if self._files.trust is None:
            return Call(None, metadata, read)
        (certificate,) = context.auth_context()["x509_pem_cert"]  # TLS connects nobody without
        return Call(_shown(certificate), metadata, read)


async def _read(context: _Context, kind: type[M]) -> M:
    """Raises Unread."""
    try:
        async with asyncio.timeout(_WHOLE):
            found = await context.read()
    except TimeoutError:
        raise Unread(408, f"the call's message has not come within {_WHOLE:g} s") from None
    try:
        return kind.FromString(found)
    except (DecodeError, TypeError):  # of gRPC's mark that no message came
        raise Unread(400, f"the call has no message that is a {kind.DESCRIPTOR.name}") from None


def message_of(values: Mapping[str, Any], kind: type[M]) -> M:
    """The message with these values, as JSON has them, by the names in its file; None is a field that is not set."""
    return ParseDict(dict(values), kind())


async def _refuse(context: _Context, error: Refused) -> NoReturn:
    await context.abort(_CODES.get(error.status, grpc.StatusCode.INTERNAL), error.detail, error.trailing)


@lru_cache(maxsize=1000)
def _shown(certificate: bytes) -> Mapping[str, Any]:
    found = x509.load_pem_x509_certificate(certificate)
    common = tuple((("commonName", name.value),) for name in found.subject.get_attributes_for_oid(NameOID.COMMON_NAME))
    shown = {"subject": common, "notAfter": f"{found.not_valid_after_utc:%b %d %H:%M:%S %Y} GMT"}
    try:
        others = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return shown
    kinds = (("URI", x509.UniformResourceIdentifier), ("DNS", x509.DNSName))
    return shown | {"subjectAltName": tuple((kind, name) for kind, of in kinds for name in others.get_values_for_type(of))}


def _credentials(files: Files) -> grpc.ServerCredentials:
    """TLS 1.3 alone; new connections get the certificate that is there now, trust takes a restart. Raises ConfigError."""
    if not TLS13_ONLY:
        raise ConfigError("grpc was imported before common.wire.tls, so connections older than TLS 1.3 would be possible")
    try:
        trust = None if files.trust is None else files.trust.read_bytes()
        seen, first = _stamp(files), _pair(files)
    except OSError as error:  # also what ssl raises
        remedy = "Give PEM files that belong together."
        raise ConfigError(f"{files.certificate}, {files.key}: {error.strerror or error}", remedy=remedy) from None

    def fetch() -> grpc.ServerCertificateConfiguration | None:
        nonlocal seen
        try:
            if (found := _stamp(files)) == seen:
                return None
            seen, pair = found, _pair(files)
        except (ConfigError, OSError) as error:
            _log.error("the certificate %s was not read anew: %s", files.certificate, error)
            return None
        return grpc.ssl_server_certificate_configuration([pair], trust)

    made = grpc.ssl_server_certificate_configuration([first], trust)
    # The stub omits that None means "no change".
    return grpc.dynamic_ssl_server_credentials(made, fetch, require_client_authentication=trust is not None)  # type: ignore[arg-type]


def _pair(files: Files) -> tuple[bytes, bytes]:
    """Key and certificate that belong together. Raises OSError, ConfigError."""
    key = read_key(files.key)
    ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(files.certificate, files.key)
    return key, files.certificate.read_bytes()


def _stamp(files: Files) -> list[tuple[int, int]]:
    found = (file.stat() for file in (files.certificate, files.key))
    return [(status.st_mtime_ns, status.st_ino) for status in found]

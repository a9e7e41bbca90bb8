"""Real connections on the loopback: who gets in, who does not, and that nothing older than TLS 1.3 does."""

from __future__ import annotations

# isort: split
from common.wire.tls import Credentials, TlsConfig, caller_certificate, connection_failure

# isort: split
import asyncio
import os
import socket
import ssl
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import grpc
import grpc.aio
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding

from common.errors import ConfigError, IdentityError, PeerLost
from common.party import Identity
from common.trust.authority import export_bundle, import_bundle, issue, make_ca, parse_key, read_certificate, verify_peer
from tests.patience import patience

PAST = datetime.now(UTC) - timedelta(days=10)
GRID, BANK = Identity("volt", "grid"), Identity("acme", "bank")
TLS12, TLS13 = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """volt and acme trust each other; evil trusts both, and nobody trusts evil."""
    for org in ("volt", "acme", "evil"):
        make_ca(org, tmp_path / org, now=PAST)
        for other in ("volt", "acme"):
            if (tmp_path / other).exists():
                import_bundle(export_bundle(tmp_path / other), tmp_path / org / "trust", other)
    import_bundle(export_bundle(tmp_path / "acme"), tmp_path / "volt" / "trust", "acme")
    for identity in (GRID, BANK, Identity("evil", "bank")):
        issue(tmp_path / identity.org, identity, tmp_path / identity.org)
    return tmp_path


def config(folder: Path, org: str, role: str) -> TlsConfig:
    home = folder / org
    return TlsConfig(certificate=home / f"{role}.pem", key=home / f"{role}.key", trust=home / "trust")


def credentials(folder: Path, identity: Identity) -> Credentials:
    return Credentials.load(config(folder, identity.org, identity.role))


def raw(folder: Path, key: Path | None, certificate: Path | None) -> grpc.ChannelCredentials:
    """A client's credentials that trust volt, made without `Credentials`."""
    root = (folder / "volt" / "ca.pem").read_bytes()
    pair = [file.read_bytes() if file else None for file in (key, certificate)]
    return grpc.ssl_channel_credentials(root, *pair)


@dataclass
class Echo(grpc.GenericRpcHandler):
    """Answers any unary call with who called; records who did, or why not."""

    credentials: Credentials
    seen: list[Identity | IdentityError] = field(default_factory=list)

    def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler[bytes, bytes]:
        async def call(request: bytes, context: grpc.aio.ServicerContext[bytes, bytes]) -> bytes:
            try:
                identity = verify_peer(caller_certificate(context), self.credentials.trust, datetime.now(UTC))
            except IdentityError as error:
                self.seen.append(error)
                await context.abort(grpc.StatusCode.UNAUTHENTICATED, error.public)
            self.seen.append(identity)
            return str(identity).encode()

        return grpc.unary_unary_rpc_method_handler(call)


@asynccontextmanager
async def serve(handler: Echo, server_credentials: grpc.ServerCredentials) -> AsyncIterator[int]:
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((handler,))
    port = server.add_secure_port("127.0.0.1:0", server_credentials)
    await server.start()
    try:
        yield port
    finally:
        await server.stop(None)


async def call(port: int, channel_credentials: grpc.ChannelCredentials, options: list[tuple[str, str]]) -> bytes:
    async with grpc.aio.secure_channel(f"127.0.0.1:{port}", channel_credentials, options=options) as channel:
        who: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary("/test/Who")
        return await who(b"", timeout=patience(20))


GRID_NAME = [("grpc.ssl_target_name_override", GRID.dns)]


async def test_both_sides_know_each_other(folder: Path) -> None:
    grid = credentials(folder, GRID)
    handler = Echo(grid)
    async with serve(handler, grid.server(["acme"])) as port:
        assert await call(port, *credentials(folder, BANK).channel(GRID)) == b"wattscore://acme/bank"
    assert handler.seen == [BANK]


# Whom a client refuses


async def refused_by_client(folder: Path, server_credentials: grpc.ServerCredentials, expected: Identity) -> Exception:
    handler = Echo(credentials(folder, GRID))
    async with serve(handler, server_credentials) as port:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call(port, *credentials(folder, BANK).channel(expected))
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE and handler.seen == []
    return connection_failure(caught.value, expected)


async def test_a_client_refuses_another_role(folder: Path) -> None:
    error = await refused_by_client(folder, credentials(folder, GRID).server(["acme"]), Identity("volt", "coordinator"))
    assert isinstance(error, IdentityError) and "is not wattscore://volt/coordinator" in str(error)


async def test_a_client_refuses_another_organisations_ca(folder: Path) -> None:
    error = await refused_by_client(folder, credentials(folder, GRID).server(["acme"]), Identity("acme", "grid"))
    assert isinstance(error, IdentityError) and "issuer" in str(error)


async def test_a_client_refuses_an_expired_certificate(folder: Path) -> None:
    issue(folder / "volt", GRID, folder / "old", 1, now=PAST)
    pair = ((folder / "old" / "grid.key").read_bytes(), (folder / "old" / "grid.pem").read_bytes())
    server = grpc.ssl_server_credentials([pair], (folder / "acme" / "ca.pem").read_bytes(), True)
    error = await refused_by_client(folder, server, GRID)
    assert isinstance(error, IdentityError) and "certificate has expired" in str(error)


# Whom a server refuses


async def refused_by_server(folder: Path, channel_credentials: grpc.ChannelCredentials, orgs: list[str]) -> None:
    grid = credentials(folder, GRID)
    handler = Echo(grid)
    async with serve(handler, grid.server(orgs)) as port:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call(port, channel_credentials, GRID_NAME)
        assert isinstance(connection_failure(caught.value, GRID), PeerLost)
        assert await call(port, *credentials(folder, BANK).channel(GRID))  # the same server does accept others
    assert handler.seen == [BANK]


async def test_a_server_refuses_an_unknown_ca(folder: Path) -> None:
    evil = credentials(folder, Identity("evil", "bank"))
    await refused_by_server(folder, evil.channel(GRID)[0], ["acme"])


async def test_a_server_refuses_a_trusted_organisation_it_does_not_serve(folder: Path) -> None:
    await refused_by_server(folder, credentials(folder, GRID).channel(GRID)[0], ["acme"])


async def test_a_server_refuses_no_certificate(folder: Path) -> None:
    await refused_by_server(folder, raw(folder, None, None), ["acme"])


async def test_a_server_refuses_an_expired_certificate(folder: Path) -> None:
    issue(folder / "acme", BANK, folder / "old", 1, now=PAST)
    await refused_by_server(folder, raw(folder, folder / "old" / "bank.key", folder / "old" / "bank.pem"), ["acme"])


def forge(ca: Path, uri: str, dns: str, out: Path) -> Path:
    """out.key and out.pem: a leaf by the CA in `ca` with names that `issue` would refuse."""
    issuer, ca_key = read_certificate(ca / "ca.pem"), parse_key((ca / "ca.key").read_bytes(), "ca.key")
    key = parse_key((ca / "bank.key").read_bytes(), "bank.key")
    names: list[x509.GeneralName] = [x509.UniformResourceIdentifier(uri), x509.DNSName(dns)]
    builder = x509.CertificateBuilder(issuer.subject, x509.Name([]), key.public_key(), 7, PAST, PAST + timedelta(99))
    leaf = builder.add_extension(x509.SubjectAlternativeName(names), critical=False).sign(ca_key, SHA256())
    out.write_bytes(leaf.public_bytes(Encoding.PEM))
    return out


@pytest.mark.parametrize(
    ("uri", "dns"),
    [("wattscore://volt/grid", "bank.acme.wattscore"), ("wattscore://acme/bank", "grid.volt.wattscore")],
)
async def test_tls_itself_refuses_another_organisations_names(uri: str, dns: str, folder: Path) -> None:
    forged = forge(folder / "acme", uri, dns, folder / "forged.pem")
    await refused_by_server(folder, raw(folder, folder / "acme" / "bank.key", forged), ["volt", "acme"])


async def test_a_name_that_tls_lets_through_is_still_checked(folder: Path) -> None:
    forged = forge(folder / "acme", "https://acme/bank", BANK.dns, folder / "forged.pem")
    grid = credentials(folder, GRID)
    handler = Echo(grid)
    async with serve(handler, grid.server(["acme"])) as port:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call(port, raw(folder, folder / "acme" / "bank.key", forged), GRID_NAME)
    assert caught.value.code() is grpc.StatusCode.UNAUTHENTICATED
    assert isinstance(handler.seen[0], IdentityError)


async def test_a_connection_without_tls_has_no_identity(folder: Path) -> None:
    handler = Echo(credentials(folder, GRID))
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((handler,))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        who: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary("/test/Who")
        with pytest.raises(grpc.aio.AioRpcError):
            await who(b"", timeout=patience(20))
    await server.stop(None)
    assert isinstance(handler.seen[0], IdentityError) and "no client certificate" in str(handler.seen[0])


# TLS 1.3 only


def context(folder: Path, org: str, role: str, root: str, version: ssl.TLSVersion, purpose: int) -> ssl.SSLContext:
    made = ssl.SSLContext(purpose)
    made.load_verify_locations(folder / root / "ca.pem")
    made.load_cert_chain(folder / org / f"{role}.pem", folder / org / f"{role}.key")
    made.verify_mode = ssl.CERT_REQUIRED
    made.minimum_version = made.maximum_version = version
    made.set_alpn_protocols(["h2"])
    return made


def handshake(port: int, client: ssl.SSLContext) -> tuple[str | None, str | None, bytes]:
    """The TLS version, the ALPN protocol and the server's certificate (DER)."""
    with (
        socket.create_connection(("127.0.0.1", port), 20) as plain,
        client.wrap_socket(plain, server_hostname=GRID.dns) as secure,
    ):
        return secure.version(), secure.selected_alpn_protocol(), secure.getpeercert(binary_form=True) or b""


async def test_a_server_refuses_tls_1_2(folder: Path) -> None:
    grid = credentials(folder, GRID)
    old, new = (context(folder, "acme", "bank", "volt", version, ssl.PROTOCOL_TLS_CLIENT) for version in (TLS12, TLS13))
    async with serve(Echo(grid), grid.server(["acme"])) as port:
        with pytest.raises((ssl.SSLError, ConnectionError)):
            await asyncio.to_thread(handshake, port, old)
        assert (await asyncio.to_thread(handshake, port, new))[:2] == ("TLSv1.3", "h2")


@pytest.mark.parametrize(("version", "reached"), [(TLS12, []), (TLS13, ["TLSv1.3"])])
async def test_a_client_refuses_tls_1_2(version: ssl.TLSVersion, reached: list[str], folder: Path) -> None:
    versions, accepted = [], asyncio.Event()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        versions.append(writer.get_extra_info("ssl_object").version())
        accepted.set()
        writer.close()

    server_context = context(folder, "volt", "grid", "acme", version, ssl.PROTOCOL_TLS_SERVER)
    server = await asyncio.start_server(accept, "127.0.0.1", 0, ssl=server_context)
    port = server.sockets[0].getsockname()[1]
    tasks = [
        asyncio.create_task(call(port, *credentials(folder, BANK).channel(GRID))),
        asyncio.create_task(accepted.wait()),
    ]
    await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)  # refused, or through the handshake
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    server.close()
    assert versions[:1] == reached


def test_nothing_works_if_grpc_was_imported_first(folder: Path) -> None:
    program = (
        "import grpc, sys; from pathlib import Path; from common.wire import tls\n"
        "from common.errors import ConfigError\n"
        "try: tls.Credentials.load(tls.TlsConfig(certificate=sys.argv[1], key=sys.argv[2], trust=sys.argv[3]))\n"
        "except ConfigError as error: print(error)"
    )
    own = config(folder, "volt", "grid")
    environment = {name: value for name, value in os.environ.items() if name != "GRPC_SSL_CIPHER_SUITES"}
    command = [sys.executable, "-c", program, str(own.certificate), str(own.key), str(own.trust)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert "older than TLS 1.3 would be possible" in done.stdout


# One's own files


@pytest.mark.parametrize("missing", ["grid.pem", "grid.key", "trust"])
def test_missing_files(missing: str, folder: Path) -> None:
    (folder / "volt" / missing).rename(folder / "away")
    with pytest.raises(ConfigError, match=missing):
        credentials(folder, GRID)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o602])
def test_a_key_is_for_its_owner_only(mode: int, folder: Path) -> None:
    (folder / "volt" / "grid.key").chmod(mode)
    with pytest.raises(ConfigError, match="chmod 600"):
        credentials(folder, GRID)


def test_a_key_of_another_certificate(folder: Path) -> None:
    own, other = config(folder, "volt", "grid"), config(folder, "acme", "bank")
    with pytest.raises(IdentityError, match="is not the key of"):
        Credentials.load(TlsConfig(certificate=own.certificate, key=other.key, trust=own.trust))


def test_an_expired_certificate_of_ones_own(folder: Path) -> None:
    issue(folder / "volt", Identity("volt", "old"), folder / "volt", 1, now=PAST)
    with pytest.raises(IdentityError, match=r"old\.pem expired"):
        credentials(folder, Identity("volt", "old"))


def test_unknown_organisations(folder: Path) -> None:
    grid = credentials(folder, GRID)
    uses: list[Callable[[], object]] = [
        lambda: grid.server(["evil"]),
        lambda: grid.channel(Identity("evil", "bank")),
        lambda: grid.server([]),
    ]
    for use in uses:
        with pytest.raises(IdentityError):
            use()


def test_the_repr_is_the_identity(folder: Path) -> None:
    assert repr(credentials(folder, GRID)) == "Credentials(wattscore://volt/grid)"
    assert "BEGIN" not in str(vars(credentials(folder, GRID)))


# Replaced files


def replace(folder: Path, identity: Identity) -> bytes:
    """Puts a new certificate and key of `identity` where volt's grid keeps its own; returns the certificate (DER)."""
    issue(folder / identity.org, identity, folder / "new")
    for kind in ("key", "pem"):
        (folder / "new" / f"{identity.role}.{kind}").rename(folder / "volt" / f"grid.{kind}")
    return read_certificate(folder / "volt" / "grid.pem").public_bytes(Encoding.DER)


async def test_a_server_takes_up_a_replaced_certificate(folder: Path) -> None:
    grid = credentials(folder, GRID)
    client = context(folder, "acme", "bank", "volt", TLS13, ssl.PROTOCOL_TLS_CLIENT)
    async with serve(Echo(grid), grid.server(["acme"])) as port:
        first = (await asyncio.to_thread(handshake, port, client))[2]
        second = replace(folder, GRID)
        assert (await asyncio.to_thread(handshake, port, client))[2] == second != first


async def test_a_server_keeps_its_certificate_if_the_new_one_is_of_another(folder: Path) -> None:
    grid = credentials(folder, GRID)
    client = context(folder, "acme", "bank", "volt", TLS13, ssl.PROTOCOL_TLS_CLIENT)
    async with serve(Echo(grid), grid.server(["acme"])) as port:
        first = (await asyncio.to_thread(handshake, port, client))[2]
        replace(folder, Identity("volt", "other"))
        assert (await asyncio.to_thread(handshake, port, client))[2] == first
        assert ssl.PEM_cert_to_DER_cert(grid.own().certificate.decode()) == first

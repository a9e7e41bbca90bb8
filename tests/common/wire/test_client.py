"""A connection whose credential files are replaced: new calls present the new certificate, running streams go on."""

from __future__ import annotations

# isort: split
from common.wire.tls import Credentials, TlsConfig

# isort: split
from pathlib import Path
from typing import Any

from common.party import Identity
from common.trust.authority import export_bundle, import_bundle, issue, make_ca
from common.wire import coordinator_pb2, party_pb2
from common.wire.client import Connection
from common.wire.methods import ATTEND, COORDINATOR, PARTIES, SHOW
from common.wire.server import Call, Service, serve

HERE, THERE = Identity("volt", "server"), Identity("acme", "caller")


def load(folder: Path, identity: Identity) -> Credentials:
    home = folder / identity.org
    pair = {"certificate": home / f"{identity.role}.pem", "key": home / f"{identity.role}.key"}
    return Credentials.load(TlsConfig(**pair, trust=home / "trust"))


def certificates(folder: Path) -> None:
    for identity in (HERE, THERE):
        make_ca(identity.org, folder / identity.org)
        issue(folder / identity.org, identity, folder / identity.org)
    for own, other in ((HERE, THERE), (THERE, HERE)):
        import_bundle(export_bundle(folder / other.org), folder / own.org / "trust", other.org)


def replace(folder: Path) -> None:
    """A new key and certificate where the caller keeps its own."""
    home = folder / THERE.org
    issue(home, THERE, folder / "new")
    for kind in ("key", "pem"):
        (folder / "new" / f"{THERE.role}.{kind}").rename(home / f"{THERE.role}.{kind}")


def presented(call: Call) -> str:
    """The certificate of whoever calls (PEM)."""
    return str(call._context.auth_context()["x509_pem_cert"][0].decode()).strip()


async def attend(_: Any, call: Call) -> None:
    while await call.read() is not None:
        await call.write(party_pb2.ToParty(offer=party_pb2.Offer(plan=presented(call))))


async def show(_: Any, call: Call) -> coordinator_pb2.Job:
    return coordinator_pb2.Job(plan=presented(call))


async def test_new_calls_present_a_replaced_certificate_and_a_running_stream_goes_on(tmp_path: Path) -> None:
    certificates(tmp_path)
    file = tmp_path / THERE.org / f"{THERE.role}.pem"
    services = [Service(PARTIES, {"Attend": attend}), Service(COORDINATOR, {"Show": show})]
    server = await serve("127.0.0.1:0", load(tmp_path, HERE), [THERE.org], services, origin="here")
    connection = Connection(f"127.0.0.1:{server.port}", HERE, load(tmp_path, THERE))

    async def ask(stream: Any) -> str:
        await stream.write(party_pb2.FromParty())
        return str((await stream.read()).offer.plan)

    try:
        running, first = connection.stream(ATTEND), file.read_text().strip()
        assert await ask(running) == first
        replace(tmp_path)
        second = file.read_text().strip()
        assert second != first
        assert (await connection.call(SHOW, coordinator_pb2.JobRequest())).plan == second
        assert await ask(connection.stream(ATTEND)) == second
        assert await ask(running) == first
    finally:
        await connection.close()
        await server.stop(0.0)

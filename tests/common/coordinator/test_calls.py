"""A real stream whose caller leaves while it is written to: what the handler gets is PeerLost, of whatever kind grpc's is."""

from __future__ import annotations

# isort: split
from common.wire.tls import Credentials, TlsConfig

# isort: split
import asyncio
from pathlib import Path
from typing import Any

from common.errors import PeerLost
from common.party import Identity
from common.trust.authority import export_bundle, import_bundle, issue, make_ca
from common.wire import party_pb2
from common.wire.client import Connection
from common.wire.methods import ATTEND, PARTIES
from common.wire.server import Call, Service, serve
from tests.patience import patience

HERE, THERE = Identity("volt", "server"), Identity("acme", "caller")


def certificates(folder: Path) -> dict[Identity, Credentials]:
    for identity in (HERE, THERE):
        make_ca(identity.org, folder / identity.org)
        issue(folder / identity.org, identity, folder / identity.org)
    found = {}
    for own, other in ((HERE, THERE), (THERE, HERE)):
        home = folder / own.org
        import_bundle(export_bundle(folder / other.org), home / "trust", other.org)
        tls = TlsConfig(certificate=home / f"{own.role}.pem", key=home / f"{own.role}.key", trust=home / "trust")
        found[own] = Credentials.load(tls)
    return found


async def test_the_caller_leaves(tmp_path: Path) -> None:
    credentials = certificates(tmp_path)
    ended: asyncio.Future[BaseException] = asyncio.get_running_loop().create_future()

    async def attend(_: Any, call: Call) -> None:
        async def talk() -> None:
            while True:
                await call.write(party_pb2.ToParty(offer=party_pb2.Offer(job="x" * 50_000)))

        talking = asyncio.create_task(talk())  # a task of its own: grpc cancels the handler's
        talking.add_done_callback(lambda done: ended.set_result(done.exception() or AssertionError()))
        await asyncio.wait([talking])

    service = Service(PARTIES, {"Attend": attend})
    server = await serve("127.0.0.1:0", credentials[HERE], [THERE.org], [service], origin="here")
    connection = Connection(f"127.0.0.1:{server.port}", HERE, credentials[THERE])
    try:
        stream = connection.stream(ATTEND)
        await stream.write(party_pb2.FromParty())
        for _ in range(3):
            await stream.read()
        await connection.close()
        assert isinstance(error := await asyncio.wait_for(ended, patience(10)), PeerLost), repr(error)
    finally:
        await server.stop(0.0)

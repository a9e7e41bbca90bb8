"""What a server says of itself, to whom; and what a doctor makes of one that cannot say it."""

from __future__ import annotations

# isort: split
from common.wire.tls import Credentials, TlsConfig

# isort: split
from pathlib import Path

import pytest

from common import __version__
from common.errors import PeerProtocolError
from common.party import Identity
from common.trust.authority import export_bundle, import_bundle, issue, make_ca
from common.wire.about import arrival, ask, info_service
from common.wire.about_pb2 import Attendance
from common.wire.client import Connection
from common.wire.party_pb2 import Register
from common.wire.peer import PROTOCOL
from common.wire.server import serve

HERE, KNOWN, STRANGER = Identity("volt", "server"), Identity("acme", "known"), Identity("acme", "stranger")


@pytest.fixture
def home(tmp_path: Path) -> Path:
    for org in ("volt", "acme"):
        make_ca(org, tmp_path / org)
    for who in (HERE, KNOWN, STRANGER):
        issue(tmp_path / who.org, who, tmp_path / who.org)
    for own, other in (("volt", "acme"), ("acme", "volt")):
        import_bundle(export_bundle(tmp_path / other), tmp_path / own / "trust", other)
    return tmp_path


def credentials(home: Path, who: Identity) -> Credentials:
    folder = home / who.org
    return Credentials.load(
        TlsConfig(certificate=folder / f"{who.role}.pem", key=folder / f"{who.role}.key", trust=folder / "trust")
    )


async def test_who_is_known_hears_who_attends_and_others_only_versions_and_time(home: Path) -> None:
    service = info_service({KNOWN: "bank"}, lambda: [Attendance(party="grid", attends=True)], clock=lambda: 1000.0)
    server = await serve("127.0.0.1:0", credentials(home, HERE), ["acme"], [service], origin="x")
    for who, caller, parties in ((KNOWN, "bank", 1), (STRANGER, "", 0)):
        connection = Connection(f"127.0.0.1:{server.port}", HERE, credentials(home, who))
        answer = await ask(connection, 5.0, clock=lambda: 990.0)
        await connection.close()
        about = answer.about
        assert (about.caller, len(about.parties), about.protocol, about.software) == (caller, parties, PROTOCOL, __version__)
        assert answer.ahead == 10.0
    await server.stop(0)


async def test_a_server_that_does_not_know_the_question_is_of_another_version(home: Path) -> None:
    server = await serve("127.0.0.1:0", credentials(home, HERE), ["acme"], [], origin="x")
    connection = Connection(f"127.0.0.1:{server.port}", HERE, credentials(home, KNOWN))
    with pytest.raises(PeerProtocolError, match="does not know this call") as caught:
        await ask(connection, 5.0)
    assert "same version" in caught.value.remedy
    await connection.close()
    await server.stop(0)


def test_an_arrival_tells_the_clock_if_the_party_told_its_own() -> None:
    told = arrival(Register(party="bank", protocol=1, software="0.1", time=160.0), 100.0)
    assert (told.party, told.ahead, told.since) == ("bank", 60.0, 100.0)
    assert not arrival(Register(party="bank"), 100.0).HasField("ahead")

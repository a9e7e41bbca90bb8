"""A look at who answers leaves nothing in that one's log: a daemon's operators would take it for an attack."""

from __future__ import annotations

# isort: split
from common.wire.tls import Credentials, TlsConfig

# isort: split
import asyncio
from pathlib import Path

import pytest

from common.party import Identity
from common.trust.authority import export_bundle, identity_of, import_bundle, issue, make_ca, parse_certificate
from common.wire.about import info_service
from common.wire.probe import certificate_at, connect
from common.wire.server import serve
from tests.patience import patience

HERE = Identity("volt", "server")


async def test_a_certificate_is_seen_and_the_server_logs_nothing(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    make_ca(HERE.org, tmp_path)
    issue(tmp_path, HERE, tmp_path)
    import_bundle(export_bundle(tmp_path), tmp_path / "trust", HERE.org)
    files = TlsConfig(certificate=tmp_path / "server.pem", key=tmp_path / "server.key", trust=tmp_path / "trust")
    server = await serve("127.0.0.1:0", Credentials.load(files), [HERE.org], [info_service({}, list)], origin="x")
    for _ in range(3):
        link = await connect(f"127.0.0.1:{server.port}", patience(5))
        shown = await certificate_at(link, HERE, patience(5))
        assert identity_of(parse_certificate(shown, "x")) == HERE
    await asyncio.sleep(0.2)  # the server's own threads see the end
    await server.stop(0)
    said = capfd.readouterr().err
    assert "andshake" not in said and "SSL" not in said, said

"""Thousands of idle connections of strangers, to daemons that may open few files: those with a certificate are served."""

from __future__ import annotations

import asyncio
import resource
import socket
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest

from common.errors import PeerLost
from common.trial.processes import CLIENT, COORDINATOR, GRID
from common.wire.about import ask
from common.wire.client import Connection
from common.wire.unproven import raise_descriptors
from tests.extent import extent
from tests.patience import patience
from tests.scenarios.end_to_end.lab import Lab, dataset_files, works

FILES, IDLE = 1024, extent(2500, 5000)
_LIMITED = (
    "import os, resource, sys; resource.setrlimit(resource.RLIMIT_NOFILE, ({0}, {0})); os.execv(sys.argv[1], sys.argv[1:])"
)


class Tight(Lab):
    """Daemons that may open few files and cannot ask for more."""

    def command(self, name: str) -> list[str]:
        return [sys.executable, "-c", _LIMITED.format(FILES), *super().command(name)]


@pytest.fixture(scope="module")
def tight(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tight]:
    folder = tmp_path_factory.mktemp("crowd")
    with Tight(folder, dataset_files(folder, ("after",))) as lab:
        yield lab


@contextmanager
def idle(lab: Lab, count: int, hosts: int, say: bytes) -> Iterator[None]:
    """Connections of so many addresses to coordinator and grid, in turn, which say this and no more."""
    with ExitStack() as held:
        for i in range(count):
            link = held.enter_context(socket.socket())
            link.bind((f"127.0.0.{2 + i // 2 % hosts}", 0))
            link.connect(("127.0.0.1", lab.ports[("coordinator", "grid")[i % 2]]))
            link.send(say)
        yield


@pytest.mark.parametrize(("hosts", "say"), [(1, b""), (20, b"\x16\x03\x01")], ids=["one-address", "many-addresses"])
def test_idle_connections_shut_nobody_out(tight: Tight, hosts: int, say: bytes) -> None:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    raise_descriptors()
    count = min(IDLE, resource.getrlimit(resource.RLIMIT_NOFILE)[0] - 500)
    assert count > 2 * FILES, "this test needs more descriptors than it is given"
    try:
        with idle(tight, count, hosts, say):
            asyncio.run(many_come(tight))
            with tight.client() as client:
                works(tight, client)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


async def many_come(lab: Lab) -> None:
    """New connections, one after the other, each served."""
    for name, who in (("coordinator", COORDINATOR), ("grid", GRID)) * 25:
        caller = CLIENT if name == "coordinator" else GRID  # a party's own health check
        connection = Connection(lab.address(name), who, lab.credentials(caller))
        try:
            await _answered(connection)
        finally:
            await connection.close()


async def _answered(connection: Connection) -> None:
    """On a busy machine a handshake may last until its place is needed: whoever comes again is served."""
    async with asyncio.timeout(patience(2)):
        while True:
            try:
                await ask(connection, patience(2))
                return
            except PeerLost:
                await asyncio.sleep(0.1)

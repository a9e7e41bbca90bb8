"""The standard health service over mTLS, reflection off, and the options that keep connections alive."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc._cython import cygrpc  # type: ignore[attr-defined]
from grpc_health.v1 import health_pb2, health_pb2_grpc

from common.party import Identity
from common.trial.processes import BANK, COORDINATOR, GRID
from common.wire.client import _OPTIONS
from common.wire.server import _SERVER_OPTIONS
from tests.patience import patience
from tests.scenarios.end_to_end.lab import Lab

SERVERS = [("coordinator", COORDINATOR, "Coordinator"), ("grid", GRID, "Peer"), ("bank", BANK, "")]


async def check(lab: Lab, name: str, server: Identity, service: str) -> int:
    credentials, options = lab.credentials(BANK).channel(server)
    async with grpc.aio.secure_channel(lab.address(name), credentials, options=options) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        request = health_pb2.HealthCheckRequest(service=f"wattscore.v1.{service}" if service else "")
        status: int = (await stub.Check(request, timeout=patience(10))).status
        return status


@pytest.mark.parametrize(("name", "server", "service"), SERVERS)
def test_it_serves(lab: Lab, name: str, server: Identity, service: str) -> None:
    for asked in ("", service):
        assert asyncio.run(check(lab, name, server, asked)) == health_pb2.HealthCheckResponse.SERVING


@pytest.mark.parametrize(("name", "server", "service"), SERVERS)
def test_reflection_is_off(lab: Lab, name: str, server: Identity, service: str) -> None:
    async def ask() -> grpc.StatusCode:
        credentials, options = lab.credentials(BANK).channel(server)
        async with grpc.aio.secure_channel(lab.address(name), credentials, options=options) as channel:
            call: Any = channel.stream_stream("/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo")()
            await call.initial_metadata()
            code: grpc.StatusCode = await asyncio.wait_for(call.code(), patience(10))
            return code

    assert asyncio.run(ask()) is grpc.StatusCode.UNIMPLEMENTED


def test_nobody_is_served_without_a_certificate(lab: Lab) -> None:
    async def ask() -> grpc.StatusCode:
        root = (lab.folder / "certs" / COORDINATOR.org / "ca.pem").read_bytes()
        options = [("grpc.ssl_target_name_override", COORDINATOR.dns)]
        credentials = grpc.ssl_channel_credentials(root)
        async with grpc.aio.secure_channel(lab.address("coordinator"), credentials, options=options) as channel:
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=patience(10))
            return caught.value.code()

    assert asyncio.run(ask()) is grpc.StatusCode.UNAVAILABLE


def test_grpc_knows_every_option() -> None:
    """One it does not know is passed over in silence: idle parties were once disconnected for their pings."""
    known = Path(cygrpc.__file__).read_bytes()
    assert [name for name, _ in (*_OPTIONS, *_SERVER_OPTIONS) if name.encode() not in known] == []

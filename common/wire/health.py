"""Asks a server whether it serves, by the standard gRPC health service over mTLS."""

from __future__ import annotations

from grpc_health.v1 import health_pb2

from common.errors import PeerLost
from common.party import Identity
from common.wire.client import Connection
from common.wire.tls import Credentials

_CHECK = health_pb2.DESCRIPTOR.services_by_name["Health"].methods_by_name["Check"]
_SERVING = health_pb2.HealthCheckResponse.SERVING


async def check_health(address: str, server: Identity, credentials: Credentials, timeout: float) -> None:
    """Returns if `server` at `address` (HOST:PORT) says within `timeout` seconds that it serves.

    Raises PeerLost if it does not, IdentityError if it is another that answers.
    """
    connection = Connection(address, server, credentials)
    try:
        reply = await connection.call(_CHECK, health_pb2.HealthCheckRequest(), timeout)
    finally:
        await connection.close()
    if reply.status != _SERVING:
        name = health_pb2.HealthCheckResponse.ServingStatus.Name(reply.status)
        raise PeerLost(f"{server} answers, but does not serve: {name}", remedy="See its log.")

"""The catalogue that maps every error class to one gRPC status code, and errors to and from what crosses the network."""

from __future__ import annotations

import grpc

from common import errors
from common.errors import WattScoreError
from common.party import Identity
from common.wire.peer_pb2 import Fault
from common.wire.tls import connection_failure

FAULT_KEY = "wattscore-fault-bin"  # trailing metadata of a failed call

CODES: dict[type[WattScoreError], grpc.StatusCode] = {
    errors.WattScoreError: grpc.StatusCode.UNKNOWN,
    errors.ConfigError: grpc.StatusCode.FAILED_PRECONDITION,
    errors.PlanError: grpc.StatusCode.INVALID_ARGUMENT,
    errors.PolicyError: grpc.StatusCode.PERMISSION_DENIED,
    errors.DataError: grpc.StatusCode.FAILED_PRECONDITION,
    errors.IdentityError: grpc.StatusCode.UNAUTHENTICATED,
    errors.RangeError: grpc.StatusCode.OUT_OF_RANGE,
    errors.ProtocolError: grpc.StatusCode.INTERNAL,
    errors.LocalProtocolError: grpc.StatusCode.INTERNAL,
    errors.PeerProtocolError: grpc.StatusCode.ABORTED,
    errors.PeerLost: grpc.StatusCode.UNAVAILABLE,
    errors.PeerStopped: grpc.StatusCode.UNAVAILABLE,
    errors.PeerFailed: grpc.StatusCode.ABORTED,
    errors.JobNotFound: grpc.StatusCode.NOT_FOUND,
    errors.JobStateError: grpc.StatusCode.FAILED_PRECONDITION,
    errors.JobCancelled: grpc.StatusCode.CANCELLED,
}

_BY_NAME = {kind.__name__: kind for kind in CODES}
_SURPRISE = "InternalError"


def to_fault(error: BaseException, origin: str) -> Fault:
    """The fault that others may know of an error: the public text of ours, only the class of a surprise."""
    if isinstance(error, WattScoreError):
        origin = getattr(error, "origin", "") or origin
        return Fault(kind=type(error).__name__, message=error.public, remedy=error.remedy, origin=origin)
    return Fault(
        kind=_SURPRISE,
        message=f"an unexpected {type(error).__name__} at the {origin}",
        remedy=f"Its cause is in the log of the {origin}.",
        origin=origin,
    )


def from_fault(fault: Fault) -> WattScoreError:
    """The error another process reported, of the same class, its origin kept."""
    kind = _BY_NAME.get(fault.kind, errors.PeerFailed)
    error = kind.__new__(kind)
    WattScoreError.__init__(error, fault.message, remedy=fault.remedy)
    error.origin = fault.origin
    return error


def kind_of(fault: Fault) -> str:
    """A fault's kind, one of few whatever another process calls it, as what is counted by it needs."""
    return fault.kind if fault.kind in _BY_NAME or fault.kind == _SURPRISE else errors.PeerFailed.__name__


def code_of(error: BaseException) -> grpc.StatusCode:
    return CODES[type(error)] if isinstance(error, WattScoreError) else grpc.StatusCode.INTERNAL


def from_rpc(error: grpc.aio.AioRpcError, server: Identity) -> WattScoreError:
    """A failed call as one of our errors: the fault it carries, else what its status says of the connection to `server`."""
    for key, value in error.trailing_metadata() or ():
        if key == FAULT_KEY and isinstance(value, bytes):
            return from_fault(Fault.FromString(value))
    return connection_failure(error, server)

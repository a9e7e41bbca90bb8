"""Errors on their way across the network: one code each, the class kept, the private text left behind."""

from __future__ import annotations

import asyncio

import grpc
import pytest

from common import errors
from common.errors import DataError, PeerFailed, PeerLost, PlanError, WattScoreError
from common.party import Identity
from common.wire.peer_pb2 import Fault
from common.wire.status import CODES, FAULT_KEY, code_of, from_fault, from_rpc, to_fault
from tests.common.test_errors import make, tree

SERVER = Identity("volt", "grid")


def failed_call(status: grpc.StatusCode, details: str, *trailing: tuple[str, bytes | str]) -> grpc.aio.AioRpcError:
    return grpc.aio.AioRpcError(status, grpc.aio.Metadata(), grpc.aio.Metadata(*trailing), details)


def test_the_catalogue_is_complete() -> None:
    assert set(CODES) == set(tree())
    assert {getattr(errors, name) for name in vars(errors) if name[0].isupper()} == set(CODES)


def test_no_error_is_a_success() -> None:
    assert grpc.StatusCode.OK not in CODES.values()


@pytest.mark.parametrize("kind", tree())
def test_an_error_keeps_class_text_remedy_and_origin(kind: type[WattScoreError]) -> None:
    error = make(kind, "it broke")
    error.remedy = "Mend it."
    again = from_fault(Fault.FromString(to_fault(error, "grid").SerializeToString()))
    assert type(again) is kind
    assert (again.message, again.public, again.remedy, again.origin) == ("it broke", "it broke", "Mend it.", "grid")
    assert str(again) == "it broke. Mend it."
    assert code_of(again) is CODES[kind]


def test_the_first_origin_is_kept_however_far_a_fault_travels() -> None:
    far = from_fault(to_fault(from_fault(to_fault(PlanError("no"), "grid")), "coordinator"))
    assert far.origin == "grid"


def test_context_crosses_as_text() -> None:
    fault = to_fault(PeerFailed("it broke", expected=3, got=4, round="split/2"), "bank")
    assert fault.message == "it broke (in round split/2; expected 3, got 4)"


def test_a_data_error_crosses_without_its_private_text() -> None:
    error = DataError("row 17: income 12345.67 is negative", public="a value is out of range", remedy="Mend it.")
    fault = to_fault(error, "bank")
    assert (fault.kind, fault.message, fault.remedy) == ("DataError", "a value is out of range", "Mend it.")
    assert b"12345" not in fault.SerializeToString()
    assert "12345" not in str(from_fault(fault))


@pytest.mark.parametrize("surprise", [ValueError("12345.67"), KeyError("12345.67"), asyncio.CancelledError("12345.67")])
def test_a_surprise_reveals_only_its_class(surprise: BaseException) -> None:
    fault = to_fault(surprise, "bank")
    assert fault.kind == "InternalError"
    assert type(surprise).__name__ in fault.message
    assert b"12345" not in fault.SerializeToString()
    assert code_of(surprise) is grpc.StatusCode.INTERNAL
    again = from_fault(fault)
    assert type(again) is PeerFailed
    assert again.origin == "bank"


@pytest.mark.parametrize("kind", ["", "NewerError", "SystemExit", "object", "__class__"])
def test_a_class_this_version_does_not_know_is_a_failed_peer(kind: str) -> None:
    assert type(from_fault(Fault(kind=kind, message="m"))) is PeerFailed


def test_a_failed_call_gives_the_error_it_carries() -> None:
    fault = to_fault(PlanError("no such column", remedy="Name another."), "grid")
    error = failed_call(grpc.StatusCode.INVALID_ARGUMENT, "no", ("other", "x"), (FAULT_KEY, fault.SerializeToString()))
    again = from_rpc(error, SERVER)
    assert type(again) is PlanError
    assert (again.message, again.remedy, again.origin) == ("no such column", "Name another.", "grid")


def test_a_failed_call_that_carries_nothing_is_a_lost_connection() -> None:
    assert type(from_rpc(failed_call(grpc.StatusCode.UNAVAILABLE, "refused"), SERVER)) is PeerLost

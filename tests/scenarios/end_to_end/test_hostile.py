"""A party and a coordinator that do not follow the protocol: the honest ones refuse, say why, and go on serving."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from typing import Any

import grpc
import pytest

from common.client.client import Client
from common.errors import IdentityError, PeerProtocolError, PolicyError, WattScoreError
from common.party import Identity
from common.trial import processes
from common.trial.processes import BANK, COORDINATOR, GRID
from common.wire import party_pb2
from common.wire.client import Connection
from common.wire.coordinator_pb2 import ListRequest
from common.wire.methods import EXCHANGE, LIST
from common.wire.peer import PROTOCOL, greeting
from common.wire.peer_pb2 import Block, Frame, Hello
from tests.patience import patience
from tests.scenarios.end_to_end.lab import ROWS, Lab, eventually, fail, finish, make_plan, works
from tests.scenarios.end_to_end.rogue import Say, after_greeting, attend, play, register
from tests.source import ROOT

U8, U64 = Block.ELEMENT_U8, Block.ELEMENT_U64


def count(number: int = 3, **changes: object) -> Frame:
    """The first message of an alignment: how many ids this side brings."""
    block = Block(element=U64, shape=[1], chunk=0, chunks=1, data=ROWS.to_bytes(8, "little"))
    for name, value in changes.items():
        if name == "shape":
            del block.shape[:]
            block.shape.extend(value)  # type: ignore[arg-type]
        else:
            setattr(block, name, value)
    return Frame(number=number, psi_count=block)


@pytest.fixture(scope="module")
def no_bank(shared: Lab) -> Iterator[Lab]:
    shared.heal()
    shared.processes["bank"].terminate()
    shared.processes["bank"].wait()
    yield shared
    shared.heal()


@pytest.fixture
def alone(no_bank: Lab) -> Iterator[Client]:
    with no_bank.client() as client:
        yield client


FRAMES: dict[str, tuple[Say, str, str]] = {
    "truncated": (after_greeting(count(data=b"\0" * 7)), "PeerProtocolError", "a truncated, oversized or misplaced frame"),
    "too-long": (after_greeting(count(data=b"\0" * 9)), "PeerProtocolError", "a truncated, oversized or misplaced frame"),
    "claims-much": (after_greeting(count(shape=[1 << 31], chunks=1)), "PeerProtocolError", "a frame claims an impossible size"),
    "out-of-order": (after_greeting(count(chunk=1)), "PeerProtocolError", "misplaced frame"),
    "other-round": (after_greeting(count(number=4)), "PeerProtocolError", "expected psi_count/3, got psi_count/4"),
    "other-kind": (
        after_greeting(Frame(number=3, split=count().psi_count)),
        "PeerProtocolError",
        "expected psi_count/3, got split/3",
    ),
    "other-type": (after_greeting(count(element=U8, shape=[8])), "PeerProtocolError", "sent an array of another shape"),
    "other-shape": (after_greeting(count(shape=[1, 1])), "PeerProtocolError", "sent an array of another shape"),
    "empty": (after_greeting(Frame(number=3)), "PeerProtocolError", "a frame without a known payload arrived"),
    "huge": (after_greeting(count(data=b"\0" * (5 << 20))), "PeerLost", "the connection"),
    "other-plan": (lambda job, digest: [greeting(job, bytes(32))], "PlanError", "the bank has another plan for job"),
}


@pytest.mark.parametrize("case", FRAMES)
def test_a_frame_that_is_not_allowed(no_bank: Lab, alone: Client, case: str) -> None:
    say, kind, says = FRAMES[case]
    eventually(lambda: no_bank.attending() == {"grid"})  # the one before has gone: an offer must not go to its stream
    rogue = threading.Thread(target=lambda: asyncio.run(play(no_bank, say)))
    job = alone.submit(make_plan("main")).id
    rogue.start()
    ended = finish(alone, job, 20.0)
    rogue.join(patience(20))
    assert (ended.state, ended.fault.kind, ended.fault.origin) == ("failed", kind, "grid")
    assert says in ended.fault.message
    assert no_bank.alive()["grid"] and not rogue.is_alive()


async def refused(lab: Lab, frame: Frame, who: Identity = BANK) -> WattScoreError:
    """Why the grid ends a stream that begins with this frame."""
    grid = Connection(lab.address("grid"), GRID, lab.credentials(who))
    try:
        stream = grid.stream(EXCHANGE)
        with pytest.raises(WattScoreError) as caught:
            await stream.write(frame)
            await stream.read()
        return caught.value
    finally:
        await grid.close()


def test_streams_the_grid_does_not_wait_for(no_bank: Lab) -> None:
    unknown = asyncio.run(refused(no_bank, greeting("train-20200101-00000000", bytes(32))))
    assert isinstance(unknown, PeerProtocolError) and "no job train-20200101-00000000 waits" in unknown.message
    old = asyncio.run(refused(no_bank, Frame(hello=Hello(protocol=0, job="x", software="0.0.1"))))
    assert isinstance(old, PeerProtocolError) and f"another protocol version (expected {PROTOCOL}, got 0)" in old.message
    mute = asyncio.run(refused(no_bank, count()))
    assert isinstance(mute, PeerProtocolError) and mute.message == "the bank did not begin with a greeting"
    other = asyncio.run(refused(no_bank, greeting("x", bytes(32)), Identity(BANK.org, "auditor")))
    assert isinstance(other, IdentityError) and "only the bank may exchange" in other.message


def test_registrations_the_coordinator_refuses(no_bank: Lab) -> None:
    cases = (
        (BANK, register("grid"), IdentityError, "expected bank, got grid"),
        (BANK, register(protocol=99), PeerProtocolError, f"another protocol version (expected {PROTOCOL}, got 99)"),
        (BANK, party_pb2.FromParty(done=party_pb2.Done(job="x")), PeerProtocolError, "did not begin by registering"),
        (Identity(BANK.org, "auditor"), register(), IdentityError, "wattscore://try-bank/auditor is not a party here"),
    )
    for who, first, kind, says in cases:
        with pytest.raises(kind) as caught:
            asyncio.run(attend(no_bank, who, first))
        assert says in str(caught.value) and caught.value.origin == "coordinator"


def test_a_client_that_is_not_on_the_list(no_bank: Lab) -> None:
    async def submit(who: Identity) -> None:
        coordinator = Connection(no_bank.address("coordinator"), COORDINATOR, no_bank.credentials(who))
        try:
            await coordinator.call(LIST, ListRequest())
        finally:
            await coordinator.close()

    for who in (Identity(BANK.org, "auditor"), BANK, GRID):  # a party is not a client either
        with pytest.raises(PolicyError, match=f"{who} may not use this coordinator"):
            asyncio.run(submit(who))


def test_bytes_that_are_no_message(no_bank: Lab, alone: Client) -> None:
    """Unary and streaming calls; the processes answer with an error and live."""

    async def send(address: str, server: Identity, path: str, streaming: bool) -> grpc.StatusCode:
        credentials, options = no_bank.credentials(BANK).channel(server)
        async with grpc.aio.secure_channel(address, credentials, options=options) as channel:
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                if streaming:
                    call: Any = channel.stream_stream(path)()
                    await call.write(b"\xff" * 40)
                    await call.read()
                else:
                    method: Any = channel.unary_unary(path)
                    await method(b"\xff" * 40)
            return caught.value.code()

    for path, streaming in (("/wattscore.v1.Coordinator/Submit", False), ("/wattscore.v1.Parties/Attend", True)):
        code = asyncio.run(send(no_bank.address("coordinator"), COORDINATOR, path, streaming))
        assert code in (grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN)
    code = asyncio.run(send(no_bank.address("grid"), GRID, "/wattscore.v1.Peer/Exchange", True))
    assert code in (grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN)
    assert alone.jobs() and no_bank.alive()["grid"]


def test_a_message_out_of_place_ends_the_stream(no_bank: Lab) -> None:
    async def twice() -> None:
        connection, stream = await attend(no_bank)
        try:
            await stream.write(register())
            await stream.read()
        finally:
            await connection.close()

    with pytest.raises(PeerProtocolError, match="the bank sent a message out of place"):
        asyncio.run(twice())
    assert no_bank.alive()["coordinator"]


def test_a_coordinator_that_offers_different_plans(lab: Lab, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(processes._MODULES, "coordinator", "tests.scenarios.end_to_end.rogue_coordinator")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    lab.restart("coordinator")
    with lab.client() as fooled:
        origin, kind, message = fail(fooled, make_plan("main"))
    assert (kind, message.split(" for job ")[0]) in (
        ("PlanError", "the grid has another plan"),
        ("PlanError", "the bank has another plan"),
    )
    assert origin in ("grid", "bank")
    for name in ("grid", "bank"):
        eventually(lambda name=name: "The coordinator offered different plans" in lab.written(name))  # type: ignore[misc]
    monkeypatch.undo()
    lab.restart("coordinator")
    with lab.client() as again:
        works(lab, again)

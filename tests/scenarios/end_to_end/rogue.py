"""A bank that does not follow the protocol, with the real bank's certificate: its frames reach the real grid."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Iterable
from typing import Any

from common.disk.data_folder import Name
from common.home.audit import AuditLog
from common.mpc.seeds import FINGERPRINT_BYTES
from common.party import Identity
from common.plan.read import parse_plan
from common.trial.processes import BANK, COORDINATOR, GRID
from common.wire import party_pb2
from common.wire.client import Connection, Stream
from common.wire.methods import ATTEND, DEAL, EXCHANGE
from common.wire.peer import PROTOCOL, greeting
from common.wire.peer_pb2 import Block, Frame
from tests.patience import patience
from tests.scenarios.end_to_end.lab import Lab

Say = Callable[[str, bytes], Iterable[Any]]


def register(party: str = "bank", protocol: int = PROTOCOL) -> party_pb2.FromParty:
    return party_pb2.FromParty(register=party_pb2.Register(party=party, protocol=protocol, software="0"))


async def attend(lab: Lab, who: Identity = BANK, first: party_pb2.FromParty | None = None) -> tuple[Connection, Stream]:
    """A stream to the coordinator on which it has welcomed `who`; raises why it did not."""
    connection = Connection(lab.address("coordinator"), COORDINATOR, lab.credentials(who))
    stream = connection.stream(ATTEND)
    try:
        await stream.write(register() if first is None else first)
        assert (await stream.read()).WhichOneof("message") == "welcome"
    except BaseException:
        await connection.close()
        raise
    return connection, stream


async def play(lab: Lab, say: Say) -> None:
    """Accepts one job in the bank's name, dials the grid, sends the frames `say(job, digest)`, and waits until told to stop."""
    coordinator, stream = await attend(lab)
    grid = Connection(lab.address("grid"), GRID, lab.credentials(BANK))
    try:
        offer = (await stream.read()).offer
        await stream.write(party_pb2.FromParty(accept=party_pb2.Accept(job=offer.job)))
        assert (await stream.read()).start.job == offer.job
        dealer = coordinator.stream(DEAL)
        await dealer.write(party_pb2.Demand(join=party_pb2.Join(job=offer.job, nonce=bytes(32), key=bytes(32))))
        told = (await dealer.read()).seed.data[-FINGERPRINT_BYTES:]  # what the dealer says of the bank's seed
        exchange = grid.stream(EXCHANGE)
        for frame in say(offer.job, parse_plan(offer.plan).digest()):
            await exchange.write(honest(standing(lab, frame), told))
        assert (await asyncio.wait_for(stream.read(), patience(20))).stop.job == offer.job
    finally:
        await grid.close()
        await coordinator.close()


def standing(lab: Lab, frame: Any) -> Any:
    """A greeting that says where the real bank's audit log stands: this bank does not lie about that."""
    if isinstance(frame, Frame) and frame.WhichOneof("payload") == "hello":
        head = AuditLog(lab.data("bank") / Name.AUDIT).head
        frame.hello.audit_number, frame.hello.audit_head = head.number, head.digest
    return frame


def honest(frame: Any, told: bytes) -> Any:
    """Its fingerprints with the one that the dealer tells: this bank does not lie about its seed."""
    if isinstance(frame, Frame) and frame.WhichOneof("payload") == "seeds" and frame.number == 1:
        frame.seeds.data = frame.seeds.data[: -len(told)] + told
    return frame


def after_greeting(*frames: Any) -> Say:
    """What a bank says that has never met these seeds; it numbers its `frames` from 3 on."""
    return lambda job, digest: (greeting(job, digest), seeds(1, secrets.token_bytes(64)), seeds(2, b"\1"), *frames)


def seeds(number: int, data: bytes) -> Frame:
    return Frame(number=number, seeds=Block(element=Block.ELEMENT_U8, shape=[len(data)], chunk=0, chunks=1, data=data))

"""What a server says of itself, for a doctor: versions, its clock, who the caller is to it, and who attends a coordinator."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from common import __version__
from common.party import Identity
from common.wire import about_pb2 as wire
from common.wire.client import Connection
from common.wire.methods import ABOUT, INFO
from common.wire.party_pb2 import Register
from common.wire.peer import PROTOCOL
from common.wire.server import Call, Service

Clock = Callable[[], float]  # seconds since 1970


def info_service(
    known: Mapping[Identity, str],
    attendances: Callable[[], Iterable[wire.Attendance]] = tuple,
    clock: Clock = time.time,
) -> Service:
    """The service Info: versions and clock to every caller that TLS lets in, attendances to those it knows."""

    async def about(_: wire.AboutRequest, call: Call) -> wire.AboutReply:
        caller = known.get(call.identity, "")
        parties = attendances() if caller else ()
        return wire.AboutReply(protocol=PROTOCOL, software=__version__, time=clock(), caller=caller, parties=parties)

    return Service(INFO, {"About": about})


def arrival(register: Register, now: float) -> wire.Attendance:
    """The arrival of a party, as its registration at `now` says."""
    ahead = register.time - now if register.time else None
    return wire.Attendance(party=register.party, protocol=register.protocol, software=register.software, since=now, ahead=ahead)


@dataclass(frozen=True)
class Answer:
    """The answer of a server, and by how many seconds its clock is ahead of ours, give or take half the time it took."""

    about: wire.AboutReply
    ahead: float


async def ask(connection: Connection, timeout: float, clock: Clock = time.time) -> Answer:
    """Raises IdentityError, PeerLost, or PeerProtocolError from a server older than this question."""
    asked = clock()
    about: wire.AboutReply = await connection.call(ABOUT, wire.AboutRequest(), timeout)
    return Answer(about, about.time - (asked + clock()) / 2)

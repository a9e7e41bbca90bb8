"""Several streams that carry one conversation, and how two parties agree on them. PROTOCOL.md section 9.

Frame i of a direction is on lane i modulo their number, so both ends know where the next one is, and no frame says which lane
it is of. Whoever reads and writes frames sees one stream: labels, counts and what is opened stay in one place.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import secrets
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Generic, Protocol, TypeVar

from google.protobuf.message import Message

from common.errors import PeerLost, PeerProtocolError, WattScoreError
from common.mpc.beside import first_of
from common.party import Identity
from common.unheard import unheard
from common.wire.frames import Piece, Together, check_array
from common.wire.peer_pb2 import Frame, Hello

T = TypeVar("T")

MOST_LANES = 16
PATIENCE = 10.0  # seconds for the further streams of a job, once both parties have greeted on the first
FEWER = "See whether what is between both sides lets several connections through; lanes = 1 needs one."
ONE_PROCESS = "Further lanes must reach the process that the job's first one has reached."
_NONCE_BYTES = 16
_AHEAD = 2  # frames taken off a lane before their turn: a lane in front of the others waits


class Duplex(Protocol):
    """One end of a bidirectional stream, the caller's or the server's."""

    async def read(self) -> Any: ...

    async def write(self, message: Message | Piece | Together) -> None: ...

    async def broken(self) -> WattScoreError: ...


async def greet(stream: Duplex, hello: Message, whom: str, timeout: float, remedy: str = "") -> None:
    """Writes what a stream begins with. Raises PeerLost where it is not taken in time: who lets nothing in may answer pings."""
    try:
        async with asyncio.timeout(timeout):
            await stream.write(hello)
    except TimeoutError:
        busy = f"See the log of {whom}, and how busy it is."
        raise PeerLost(f"{whom} was not reached within {timeout:.0f} s", remedy=remedy or busy) from None


class Braid:
    """Several streams as one. A lane that breaks ends all, and so does an Abort, whatever its turn.

    A frame of an array is on its way when `write` returns; `flush` waits for it, as its memory may change only then.
    """

    def __init__(self, lanes: Sequence[Duplex]) -> None:
        self._lanes = tuple(lanes)
        self._sent = self._taken = 0
        self._order = asyncio.Lock()  # one frame after another is given its lane
        self._writing: list[asyncio.Task[None] | None] = [None] * len(self._lanes)
        self._over = False  # this side has aborted
        self._arrived: list[deque[Any]] = [deque() for _ in self._lanes]
        self._room = [asyncio.Semaphore(_AHEAD) for _ in self._lanes]
        self._moved = asyncio.Event()
        self._end: Frame | Exception | None = None  # what ends all lanes at once
        self._readers: list[asyncio.Task[None]] = []

    def __len__(self) -> int:
        return len(self._lanes)

    async def read(self) -> Any:
        """The next frame, None once the lane whose turn it is has been closed; raises why a lane broke."""
        if not self._readers and self._end is None:
            self._readers = [asyncio.create_task(self._read(lane)) for lane in range(len(self._lanes))]
        lane = self._taken % len(self._lanes)
        while not (arrived := self._arrived[lane]):
            if isinstance(self._end, Exception):
                raise self._end
            if self._end is not None:
                return self._end
            self._moved.clear()
            await self._moved.wait()
        if arrived[0] is None:
            return None
        self._taken += 1
        self._room[lane].release()
        return arrived.popleft()

    async def write(self, message: Message | Piece | Together) -> None:
        if isinstance(message, Frame) and message.WhichOneof("payload") == "abort":
            self._over = True
            await asyncio.gather(*(self._last(lane, message) for lane in range(len(self._lanes))), return_exceptions=True)
            return
        async with self._order:
            lane = self._sent % len(self._lanes)
            await self._free(lane)
            if self._over:
                raise PeerLost("the job was ended here")
            self._sent += 1
            self._writing[lane] = unheard(asyncio.create_task(self._lanes[lane].write(message)))
        if not isinstance(message, Piece):
            await self._free(lane)

    async def flush(self) -> None:
        """Returns once all that was written has been handed to the streams; raises why it was not."""
        for lane in range(len(self._lanes)):
            await self._free(lane)

    async def broken(self) -> WattScoreError:
        """Why a lane broke, once one has: where no frame of it is waited for, nobody reads it."""
        lane, error = await first_of([lane.broken() for lane in self._lanes])
        return self._named(error, lane) if isinstance(error, PeerLost) else error

    async def stop(self) -> None:
        """Ends the readers, not the streams. They are let go of: a task that was cancelled holds all that it was at."""
        readers, self._readers = self._readers, []
        for reader in readers:
            reader.cancel()
        await asyncio.gather(*readers, return_exceptions=True)
        self._ended(PeerLost("the job is over here"))

    async def _free(self, lane: int) -> None:
        if (writing := self._writing[lane]) is not None:
            await asyncio.wait({writing})  # not the task itself: who is cancelled here must not cut a frame in two
            if self._writing[lane] is writing:
                self._writing[lane] = None
            try:
                writing.result()
            except PeerLost as error:
                raise self._named(error, lane) from None

    async def _last(self, lane: int, message: Frame) -> None:
        if (writing := self._writing[lane]) is not None:
            await asyncio.wait({writing})
        await self._lanes[lane].write(message)

    async def _read(self, lane: int) -> None:
        try:
            while True:
                await self._room[lane].acquire()
                frame = await self._lanes[lane].read()
                if isinstance(frame, Frame) and frame.WhichOneof("payload") == "abort":
                    self._ended(frame)
                    return
                if isinstance(frame, (Frame, Piece)):
                    check_array(frame)
                self._arrived[lane].append(frame)
                self._moved.set()
                if frame is None:
                    return
        except PeerLost as error:
            self._ended(self._named(error, lane))
        except Exception as error:  # of any kind: whoever waits for a frame must not wait for ever
            self._ended(error)

    @property
    def turn(self) -> str:
        """The lane that the next frame is to come from, as errors name it."""
        return self._name(self._taken % len(self._lanes))

    def _name(self, lane: int) -> str:
        return f" (lane {lane} of {len(self._lanes)})"

    def _named(self, error: PeerLost, lane: int) -> PeerLost:
        return type(error)(f"{error.message}{self._name(lane)}", remedy=error.remedy)

    def _ended(self, by: Frame | Exception) -> None:
        self._end = self._end or by
        self._moved.set()


def ended(stream: Duplex) -> str:
    """Which lane has come to its end, of several: gRPC's server says of a connection found dead by pings that it was closed."""
    return stream.turn if isinstance(stream, Braid) else ""


def lanes_of(stream: Duplex) -> int:
    """How many streams this one is."""
    return len(stream) if isinstance(stream, Braid) else 1


@dataclass(frozen=True)
class Wish:
    """Of a party as it greets: the most lanes that a job may have, and with more than one 16 random bytes.

    rows: whether it has workers for a training's runs of rows. ports: on which these wait, where they do.
    """

    lanes: int = 1
    nonce: bytes = field(default=b"", repr=False)
    rows: bool = False
    ports: tuple[int, ...] = ()

    @classmethod
    def fresh(cls, lanes: int, rows: bool = False, ports: Sequence[int] = ()) -> Wish:
        if lanes <= 1:
            return cls()
        return cls(min(lanes, MOST_LANES), secrets.token_bytes(_NONCE_BYTES), rows, tuple(ports))

    @classmethod
    def of(cls, hello: Hello, whom: str) -> Wish:
        """The other's; raises PeerProtocolError for several lanes without a nonce."""
        wish = cls(max(1, hello.lanes), hello.nonce, hello.rows, tuple(hello.row_ports))
        if wish.lanes > 1 and len(wish.nonce) != _NONCE_BYTES:
            raise PeerProtocolError(f"{whom} wishes for lanes with no nonce", expected=_NONCE_BYTES, got=len(wish.nonce))
        return wish

    def agreed(self, other: Wish) -> int:
        """Lanes of the job: the least of both wishes."""
        return min(self.lanes, other.lanes)


class Between(Enum):
    """What a further stream between the parties carries; no key of one is one of the other."""

    FRAMES = b"wattscore lane"
    ROWS = b"wattscore rows"


def lane_key(bank: Wish, grid: Wish, job: str, attempt: int, lane: int, what: Between = Between.FRAMES) -> bytes:
    """What a further stream must say, 32 bytes: only who has met on the job's first stream can know it."""
    place = attempt.to_bytes(4, "big") + lane.to_bytes(4, "big")
    return hashlib.blake2b(bank.nonce + grid.nonce + place + job.encode(), digest_size=32, person=what.value).digest()


class Purpose(Enum):
    """What a line to the coordinator is for; no key of one is one of the other."""

    DEAL = b"wattscore deal"
    MATCH = b"wattscore match"
    ROWS = b"wattscore run"


def joining_key(nonce: bytes, job: str, attempt: int, line: int, lane: int, purpose: Purpose = Purpose.DEAL) -> bytes:
    """The same of a stream to the coordinator. nonce: what the party said on the first, which only these two know."""
    place = b"".join(number.to_bytes(4, "big") for number in (attempt, line, lane))
    return hashlib.blake2b(nonce + place + job.encode(), digest_size=32, person=purpose.value).digest()


class Further(Generic[T]):
    """The streams of a job beside its first, waited for at who serves them. keys: of lanes 1 and on."""

    def __init__(self, who: Identity, keys: Sequence[bytes]) -> None:
        loop = asyncio.get_running_loop()
        self._who, self._keys = who, tuple(keys)
        self._calls: list[asyncio.Future[T]] = [loop.create_future() for _ in keys]

    def take(self, who: Identity, job: str, lane: int, key: bytes, call: T) -> None:
        """One that has come. Raises PeerProtocolError unless key and caller are those of a lane of this job that has not."""
        place = lane - 1
        known = who == self._who and 0 <= place < len(self._keys) and hmac.compare_digest(key, self._keys[place])
        if not known or self._calls[place].done():
            raise PeerProtocolError(
                f"lane {lane} of job {job} is none that is waited for here",
                remedy=ONE_PROCESS,
            )
        self._calls[place].set_result(call)

    async def all(self, whom: str) -> list[T]:
        """All of them in order; raises PeerLost, which names those that do not come in time."""
        await asyncio.wait(self._calls, timeout=PATIENCE)
        late = [str(place + 1) for place, call in enumerate(self._calls) if not call.done()]
        if late:
            raise PeerLost(
                f"lanes {', '.join(late)} of {len(self._calls) + 1} of {whom} did not come within {PATIENCE:.0f} s",
                remedy=FEWER,
            )
        return [call.result() for call in self._calls]

    def stop(self) -> None:
        """Nothing is waited for any more."""
        for call in self._calls:
            call.cancel()

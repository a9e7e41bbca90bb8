"""A channel over a gRPC stream to another process, as `mpc.session.Channel` has it; how such a stream begins."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from common import __version__
from common.errors import PeerFailed, PeerLost, PeerProtocolError, PlanError, WattScoreError
from common.mpc.beside import first_of
from common.mpc.session import MAX_ARRAY_BYTES, Array, Round
from common.wire.codec import Assembler, claimed_bytes, encode, single
from common.wire.frames import MOST_TOGETHER, Piece, Together, parts
from common.wire.lanes import Braid, Duplex, Wish, ended, lanes_of
from common.wire.peer_pb2 import Abort, Fault, Frame, Hello, PinnedGrant
from common.wire.status import from_fault

PROTOCOL = 31

_READ_AHEAD = 8  # arrays taken off the stream before they are asked for
_AHEAD_BYTES = 1 << 28  # of these together; a larger one is taken when nothing else is left
_SAYS = 1.0  # seconds in which a word that the other side has sent before it ended the stream is read


@dataclass
class Counter:
    """Bytes of serialised messages on one link."""

    sent: int = 0
    received: int = 0


async def write_all(stream: Duplex, counter: Counter, frames: Iterable[Piece | Together]) -> None:
    """Writes what `encode` gives; the values may change once this returns."""
    for frame in frames:
        counter.sent += frame.ByteSize()
        await stream.write(frame)
    if isinstance(stream, Braid):
        await stream.flush()


class FrameChannel:
    """Labelled arrays over a stream of frames. A reader task takes them off the stream while the owner computes.

    largest: bytes of an array, above which none is taken. ahead: arrays taken off the stream before they are asked for.
    """

    def __init__(
        self, stream: Duplex, whom: str, counter: Counter, largest: int = MAX_ARRAY_BYTES, ahead: int = _READ_AHEAD
    ) -> None:
        self._stream, self._whom, self._counter, self._largest = stream, whom, counter, largest
        self._closed = self._told = False  # by the other side, in order; why it ends the job
        self._held: list[Piece] | None = None  # what waits for others to leave with it
        self._held_bytes, self._throughout, self._writing = 0, False, asyncio.Lock()
        self._taken, self._ahead = asyncio.Event(), 0  # an array was asked for; bytes that have arrived and were not
        self._arrived: asyncio.Queue[tuple[Round, Array] | Exception] = asyncio.Queue(ahead)
        self._reader: asyncio.Task[None] | None = None
        self._failure: Exception | None = None
        self._why: Exception | None = None  # with which the reader has ended
        self._lost: PeerLost | None = None  # with which a write has failed: nobody is given an array any more
        self._broken: asyncio.Queue[WattScoreError] = asyncio.Queue(1)

    def start(self) -> None:
        """Begins to read; call once, after the greeting."""
        self._reader = asyncio.create_task(self._read())

    async def send(self, round: Round, values: Array) -> None:
        if self.keep(round, values):
            return
        await self._release()
        await self._write(encode(round, values, lanes_of(self._stream)))

    def keep(self, round: Round, values: Array) -> bool:
        """See `Holding.keep`. The values may change once this returns."""
        if self._held is None or values.nbytes > MOST_TOGETHER:
            return False
        piece = single(round, values)
        size = piece.ByteSize()
        if self._held_bytes + size > MOST_TOGETHER:
            return False
        self._held.append(piece)
        self._held_bytes += size
        return True

    @asynccontextmanager
    async def hold(self, *, throughout: bool = False) -> AsyncIterator[None]:
        """Arrays of at most 32 KiB in all that are sent within leave as one, once one is waited for (throughout: each time)."""
        if self._held is not None:  # within another, with which all of it leaves
            yield
            return
        self._held, self._held_bytes, self._throughout = [], 0, throughout
        try:
            yield
            await self._release()
        finally:
            self._held = None

    async def _release(self) -> None:
        """What is held leaves, and nothing is held any more but throughout."""
        held, self._held_bytes = self._held, 0
        self._held = None if held is None or not self._throughout else []
        if held:
            await self._write(held if len(held) == 1 else [Together(tuple(held))])

    async def _write(self, frames: Iterable[Piece | Together]) -> None:
        async with self._writing:
            await self._written(write_all(self._stream, self._counter, frames))

    async def _written(self, writing: Awaitable[None]) -> None:
        """Raises why the other side ended the stream, where it has said so and this is written too late."""
        try:
            await writing
        except PeerLost as lost:
            cause = await self._said(lost)
        else:
            return
        raise cause

    async def _said(self, lost: PeerLost) -> Exception:
        """Why the other side ended, where it has said so: who writes may hear that it has before the reader hears why.

        Arrays that came before are given to nobody any more, so that its word waits behind none.
        """
        self._lost, reader = lost, self._reader
        if reader is None or lost.origin:
            return lost
        while not reader.done() and self._arrived.qsize():
            self._arrived.get_nowait()
        self._ahead = 0
        self._taken.set()
        await asyncio.wait({reader}, timeout=_SAYS)
        why = self._why
        return lost if why is None or (isinstance(why, PeerLost) and not (self._told or why.origin)) else why

    async def receive(self, round: Round) -> Array:
        await self._release()
        if self._failure is not None:
            raise self._failure
        if self._lost is not None:
            raise await self._said(self._lost)
        arrived = await self._next()
        if isinstance(arrived, Exception):
            self._failure = arrived
            raise arrived
        label, values = arrived
        if label != round:
            raise PeerProtocolError(
                f"{self._whom} sent a message of another round",
                expected=round,
                got=label,
                remedy="Both sides must run the same version and plan.",
            )
        return values

    async def _next(self) -> tuple[Round, Array] | Exception:
        arrived = self._arrived.get_nowait() if self._arrived.qsize() else await self._arrived.get()
        if not isinstance(arrived, Exception):
            self._ahead -= arrived[1].nbytes
            self._taken.set()
        return arrived

    async def end(self) -> None:
        """Waits until the other side closes the stream; raises PeerProtocolError for one more array, PeerLost if it breaks."""
        arrived = self._failure or await self._next()
        if not isinstance(arrived, Exception):
            raise PeerProtocolError(f"{self._whom} sent more than it said", got=arrived[0])
        if not self._closed:
            raise arrived

    async def broken(self) -> WattScoreError:
        """Why the line broke, once it has, also while no array is waited for; not where the other side ends it or says why.

        The reader hears of it only while it reads: it waits where as many arrays have arrived as are taken ahead.
        """
        _, error = await first_of([self._broken.get(), self._stream.broken()])
        return await asyncio.Future[WattScoreError]() if self._told else error

    async def told(self) -> WattScoreError:
        """Why the other side ends the job, once it has said so, also while no array is waited for; never where it is done."""
        if (reader := self._reader) is not None:
            await asyncio.wait({reader})
        return self._why if self._told and isinstance(self._why, WattScoreError) else await asyncio.Future[WattScoreError]()

    async def abort(self, fault: Fault) -> None:
        """Tells the other side why this one ends; silent when the stream is already gone."""
        with contextlib.suppress(WattScoreError, asyncio.TimeoutError):
            async with asyncio.timeout(2.0):
                await self._stream.write(Frame(abort=Abort(fault=fault)))

    async def stop(self) -> None:
        """Ends the reader, and lets go of it: a task that was cancelled holds the call that it was reading."""
        reader, self._reader = self._reader, None
        try:
            if reader is not None:
                reader.cancel()
                await asyncio.wait({reader})  # not the task itself: who is cancelled here is to hear of it
        finally:
            if isinstance(self._stream, Braid):
                await self._stream.stop()

    async def _read(self) -> None:
        assembler, whom = Assembler(self._largest, lanes_of(self._stream)), self._whom
        try:
            while True:
                frame = await self._stream.read()
                if frame is None:
                    self._closed = True
                    raise PeerLost(f"{whom} closed the connection{ended(self._stream)}", remedy=f"See the log of {whom}.")
                self._counter.received += frame.ByteSize()
                if isinstance(frame, Frame) and frame.WhichOneof("payload") == "abort":
                    self._told, self._why = True, _failed(frame.abort.fault, whom)
                    await self._arrived.put(self._why)
                    return
                for one in parts(frame):
                    await self._room(claimed_bytes(one) if self._ahead else 0)
                    if (done := assembler.add(one)) is not None and self._lost is None:
                        self._ahead += done[1].nbytes
                        await self._arrived.put(done)
        except Exception as error:  # of any kind: whoever waits for an array must not wait for ever
            if isinstance(error, PeerLost) and not self._closed:
                self._broken.put_nowait(error)
            self._why = error
            await self._arrived.put(error)

    async def _room(self, claimed: int) -> None:
        """Waits, before an array of so many bytes begins, until it would fit beside those that nobody has asked for."""
        while claimed and self._ahead and self._ahead + claimed > _AHEAD_BYTES:
            self._taken.clear()
            await self._taken.wait()


def _failed(fault: Fault, whom: str) -> WattScoreError:
    error = from_fault(fault)
    if fault.kind in ("JobCancelled", "PeerFailed", "PeerLost", "PeerStopped"):
        return error
    failure = PeerFailed(f"{whom} ended the job: {fault.message}", remedy=fault.remedy)
    failure.origin = fault.origin
    return failure


@dataclass(frozen=True)
class Stands:
    """Where the audit log of who greets stands, and where the other's stood when it was told last: entries, hash.

    grants: that the job rests on, as who greets holds them: SHA-256 by side and dataset.
    """

    number: int = 0
    digest: bytes = b""
    held_number: int = 0
    held: bytes = b""
    grants: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, hello: Hello) -> Stands:
        return cls(hello.audit_number, hello.audit_head, hello.held_number, hello.held_head, pins_of(hello.grants))


def pinned(grants: Mapping[str, str]) -> list[PinnedGrant]:
    """Grants by dataset, as messages have them."""
    return [PinnedGrant(dataset=name, sha256=pin) for name, pin in sorted(grants.items())]


def pins_of(grants: Iterable[PinnedGrant]) -> dict[str, str]:
    """The reverse."""
    return {grant.dataset: grant.sha256 for grant in grants}


NOWHERE = Stands()  # of who has no log: the coordinator's line


def greeting(
    job: str,
    digest: bytes,
    stands: Stands = NOWHERE,
    plan: str = "",
    attempt: int = 0,
    line: int = 0,
    wish: Wish = Wish(),  # noqa: B008  (frozen)
) -> Frame:
    """The first frame of each side of an exchange. plan: canonical, of a job that no coordinator has offered the other.

    attempt: how often the job was interrupted before. line: see `Hello`. wish: of several streams, nothing of which is said
    where one is wished for.
    """
    hello = Hello(protocol=PROTOCOL, job=job, plan_digest=digest, software=__version__, plan=plan, attempt=attempt)
    hello.grants.extend(pinned(stands.grants))
    hello.audit_number, hello.audit_head = stands.number, stands.digest
    hello.held_number, hello.held_head, hello.line = stands.held_number, stands.held, line
    if wish.lanes > 1:
        hello.lanes, hello.nonce, hello.rows = wish.lanes, wish.nonce, wish.rows
        hello.row_ports.extend(wish.ports)
    return Frame(hello=hello)


def lane_greeting(job: str, digest: bytes, attempt: int, lanes: int, lane: int, key: bytes = b"") -> Frame:
    """The same of a further stream. key: from who dials; who serves answers without."""
    hello = Hello(protocol=PROTOCOL, job=job, plan_digest=digest, software=__version__, attempt=attempt)
    hello.lanes, hello.lane, hello.key = lanes, lane, key
    return Frame(hello=hello)


def run_greeting(job: str, digest: bytes, attempt: int, lanes: int, run: int, key: bytes = b"") -> Frame:
    """The same of a stream of a run of rows, from 1."""
    hello = Hello(protocol=PROTOCOL, job=job, plan_digest=digest, software=__version__, attempt=attempt)
    hello.lanes, hello.row_lane, hello.key = lanes, run, key
    return Frame(hello=hello)


async def read_greeting(stream: Duplex, whom: str, timeout: float) -> Hello:
    """The other's first frame; raises PeerProtocolError for anything else and PeerLost when none comes in time."""
    try:
        async with asyncio.timeout(timeout):
            frame = await stream.read()
    except TimeoutError:
        raise PeerLost(
            f"{whom} did not greet within {timeout:.0f} s", remedy=f"See the log of {whom}, and how busy it is."
        ) from None
    if isinstance(frame, Frame) and frame.WhichOneof("payload") == "abort":
        raise _failed(frame.abort.fault, whom)
    if not isinstance(frame, Frame) or frame.WhichOneof("payload") != "hello":
        raise PeerProtocolError(f"{whom} did not begin with a greeting")
    hello: Hello = frame.hello
    if hello.protocol != PROTOCOL:
        raise PeerProtocolError(
            f"{whom} speaks another protocol version",
            expected=PROTOCOL,
            got=hello.protocol,
            remedy=f"It runs WattScore {hello.software}; install the same on both sides.",
        )
    return hello


def check_plan(hello: Hello, digest: bytes, whom: str) -> None:
    """Raises PlanError when the other party was offered another plan."""
    if hello.plan_digest != digest:
        raise PlanError(
            f"{whom} has another plan for job {hello.job}",
            expected=digest.hex()[:16],
            got=hello.plan_digest.hex()[:16],
            remedy="The coordinator offered different plans; do not trust it, and submit again elsewhere.",
        )

"""Two local byte streams between the parties' helpers, carried as rounds of a session: no port but the session's own.

Each helper calls the other once. A party's tunnel takes its helper's call on the Unix socket `peer.sock`, and calls its helper
on `own.sock` once the other's call arrives. What either socket gives is sent as `psi_tunnel`: one byte that says which of the
two connections it is of, then the bytes. A connection that ends tells the other side nothing, so that of two helpers the one
that failed first is the one that is heard of.

The transport bounds what is under way: a socket is read when the piece before has been handed to the stream, and the stream
when the socket has taken the piece before. Both connections share the stream, so helpers must read both at all times.
"""

from __future__ import annotations

import asyncio
import contextlib
from enum import IntEnum
from pathlib import Path

import numpy as np

from common.errors import HelperFailed, PeerProtocolError
from common.mpc.session import Kind, Session

PIECE = 1 << 18  # bytes of a socket sent at once
_RETRY = 0.02  # seconds between attempts to reach a helper that starts


class Part(IntEnum):
    """What a piece belongs to, as its sender sees it."""

    CALL = 0  # what the sender's helper says to the other one, which it has called
    ANSWER = 1  # what the sender's helper says to the other one, which has called it
    LINKED = 2  # the sender's helper is connected with the other one
    DONE = 3  # the sender's helper has its result; the other one's may still want answers
    END = 4  # both have, and this is the last piece


class Tunnel:
    """One job's tunnel. `moved` counts the bytes carried either way."""

    def __init__(self, session: Session, folder: Path) -> None:
        self._session, self._folder = session, folder
        self.moved = 0
        self.heard = {Part.LINKED: asyncio.Event(), Part.DONE: asyncio.Event()}  # of the other side's helper
        self._outbox: asyncio.Queue[bytes] = asyncio.Queue(2)
        self._server: asyncio.Server | None = None
        self._called: asyncio.Future[asyncio.StreamWriter] = asyncio.get_running_loop().create_future()
        self._calling: asyncio.StreamWriter | None = None
        self._pumps: set[asyncio.Task[None]] = set()
        self._ended = False

    async def open(self) -> None:
        """Listens for the helper's call; the folder must be this user's alone."""
        path = self._folder / "peer.sock"
        try:
            self._server = await asyncio.start_unix_server(self._accept, path, limit=PIECE)
        except OSError as error:  # as a rule: longer than the 107 bytes a socket's path may have
            raise HelperFailed(
                "the matcher's socket cannot be made",
                remedy="Start the daemon with TMPDIR set to a short path of a local disk.",
                local=f"{path}: {error}",
            ) from None

    async def carry(self, helper: asyncio.Future[int]) -> None:
        """Until `helper`, which ends when both helpers are done. Raises what it raises, PeerProtocolError, PeerLost ..."""
        sending = asyncio.create_task(self._send())
        receiving = asyncio.create_task(self._receive())
        finishing = asyncio.create_task(self._finish(helper))
        try:
            await asyncio.gather(sending, receiving, finishing)
        finally:
            await _cancel(sending, receiving, finishing)

    async def meet(self, part: Part) -> None:
        """Says that this side's helper is LINKED or DONE, and waits until the other side's is."""
        await self._outbox.put(bytes([part]))
        await self.heard[part].wait()

    async def close(self) -> None:
        """Closes the sockets, whatever happened before."""
        self._ended = True
        await _cancel(*self._pumps)
        if self._server is not None:
            self._server.close()
        called = self._called.result() if self._called.done() and not self._called.cancelled() else None
        for writer in (called, self._calling):
            if writer is not None:
                writer.close()

    async def _finish(self, helper: asyncio.Future[int]) -> None:
        await helper
        self._ended = True
        await _cancel(*self._pumps)
        await self._outbox.put(bytes([Part.END]))

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """The helper's call. There is one; the listener closes behind it."""
        if self._called.done():
            writer.close()
            return
        assert self._server is not None  # noqa: S101
        self._server.close()
        self._called.set_result(writer)
        self._pump(reader, Part.CALL)

    def _pump(self, reader: asyncio.StreamReader, part: Part) -> None:
        self._pumps.add(asyncio.create_task(self._read(reader, part)))

    async def _read(self, reader: asyncio.StreamReader, part: Part) -> None:
        """Sends on everything a socket gives."""
        with contextlib.suppress(ConnectionError):  # the helper was killed, which its end tells better
            while data := await reader.read(PIECE):
                await self._outbox.put(bytes([part]) + data)

    async def _send(self) -> None:
        piece = b"-"
        while piece[0] != Part.END:
            piece = await self._outbox.get()
            await self._session.send(Kind.PSI_TUNNEL, np.frombuffer(piece, np.uint8))
            self.moved += len(piece)

    async def _receive(self) -> None:
        while True:
            piece = (await self._session.receive_some(Kind.PSI_TUNNEL, np.uint8, PIECE + 1)).tobytes()
            self.moved += len(piece)
            if not piece or piece[0] not in set(Part):
                raise PeerProtocolError("the other party sent a piece of no connection through the tunnel")
            part = Part(piece[0])
            if part is Part.END:
                return
            if part in self.heard:
                self.heard[part].set()
            else:
                await self._deliver(part, piece[1:])

    async def _deliver(self, part: Part, data: bytes) -> None:
        """To the helper: the other's call arrives at its own socket, the other's answers on its own call."""
        if part is Part.ANSWER and not self._called.done():
            raise PeerProtocolError("the other party answered a call that was not made")
        writer = self._called.result() if part is Part.ANSWER else await self._call()
        if writer is None or writer.is_closing():
            return  # the helper has ended, well or not: its end is looked at elsewhere
        with contextlib.suppress(ConnectionError):
            writer.write(data)
            await writer.drain()

    async def _call(self) -> asyncio.StreamWriter | None:
        """The connection to the helper's own socket, made when first needed; None if the helper has ended."""
        while self._calling is None and not self._ended:
            try:
                reader, self._calling = await asyncio.open_unix_connection(self._folder / "own.sock", limit=PIECE)
            except (FileNotFoundError, ConnectionRefusedError):
                await asyncio.sleep(_RETRY)
            else:
                self._pump(reader, Part.ANSWER)
        return self._calling


async def _cancel(*tasks: asyncio.Task[None]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)

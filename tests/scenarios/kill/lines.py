"""Lines between processes that can be cut, stalled and healed: TCP relays on loopback, in a thread of their own."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from contextlib import ExitStack, suppress
from typing import Self

from common.trial.processes import free_ports
from tests.patience import patience

_PIECE = 1 << 16


class Lines:
    """Each line has a name, and leads to a port. Use as a context manager."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._ports: dict[str, int] = {}
        self._held = ExitStack()
        self._targets: dict[str, int] = {}
        self._open: dict[str, list[_Open]] = {}
        self._down: set[str] = set()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        for name in self._ports:
            self.cut(name)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        self._held.close()

    def port(self, name: str, target: int) -> int:
        """The port at this end of a line that leads to `target` from now on."""
        self._targets[name] = target
        if name not in self._ports:
            (self._ports[name],) = free_ports(1, self._held)
            self._open[name] = []
            self._do(lambda: self._listen(name))
        return self._ports[name]

    def cut(self, name: str) -> None:
        """Breaks what is open on it; what comes is refused until it is healed."""
        self._down.add(name)
        self._do(lambda: self._break(name))

    def connections(self, name: str) -> int:
        """How many are open on it."""
        return len(self._open[name])

    def all_connections(self) -> dict[str, int]:
        """The same of each line."""
        return {name: len(opened) for name, opened in self._open.items()}

    def cut_last(self, name: str) -> None:
        """Breaks the connection that was made last; the line itself stays."""
        self._do(lambda: self._break(name, -1))

    def hold_last(self, name: str) -> None:
        """From now on the connection that was made last carries nothing either way, and neither end hears of it."""
        self._do(lambda: self._hold(name))

    def let_go(self, name: str) -> None:
        """What was held passes again, if it is still there."""
        self._do(lambda: self._flow(name))

    def heal(self, name: str) -> None:
        self._down.discard(name)

    def _do(self, work: Callable[[], Awaitable[None]]) -> None:
        async def doing() -> None:
            await work()

        asyncio.run_coroutine_threadsafe(doing(), self._loop).result(patience(10))

    async def _listen(self, name: str) -> None:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await self._serve(name, reader, writer)

        await asyncio.start_server(serve, "127.0.0.1", self._ports[name])

    async def _serve(self, name: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if name in self._down:
            writer.transport.abort()
            return
        try:
            far, out = await asyncio.open_connection("127.0.0.1", self._targets[name])
        except OSError:
            writer.transport.abort()
            return
        if name in self._down:  # it was cut meanwhile
            for one in (writer, out):
                one.transport.abort()
            return
        opened = _Open((writer, out))
        self._open[name].append(opened)
        await asyncio.gather(_pump(reader, out, opened.flows), _pump(far, writer, opened.flows))
        self._open[name].remove(opened)

    async def _break(self, name: str, begin: int = 0) -> None:
        for opened in self._open[name][begin:]:
            opened.flows.set()
            for writer in opened.ends:
                writer.transport.abort()

    async def _hold(self, name: str) -> None:
        self._open[name][-1].flows.clear()

    async def _flow(self, name: str) -> None:
        for opened in self._open[name]:
            opened.flows.set()


class _Open:
    """A connection on a line: both ends, and whether anything passes between them."""

    def __init__(self, ends: tuple[asyncio.StreamWriter, asyncio.StreamWriter]) -> None:
        self.ends, self.flows = ends, asyncio.Event()
        self.flows.set()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, flows: asyncio.Event) -> None:
    with suppress(OSError):
        while data := await reader.read(_PIECE):
            await flows.wait()
            writer.write(data)
            await writer.drain()
    await flows.wait()
    writer.close()

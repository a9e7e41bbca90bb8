"""A line of given rate and delay between processes on this machine: TCP relays in user space, one for each address.

Each direction has the rate to itself and half the round trip. Bytes are delayed, not packets: no loss and no slow start. What a
line really delivers is measured with `measure` and reported beside the figures.
"""

from __future__ import annotations

import asyncio
import re
import socket
import threading
import time
from collections import deque
from dataclasses import dataclass
from pathlib import Path

_PIECE = 16 << 10


@dataclass(frozen=True)
class Shape:
    """mbit: rate of each direction; ms: round trip."""

    mbit: float
    ms: float

    @classmethod
    def parse(cls, text: str) -> Shape:
        """`20mbit,20ms`."""
        match = re.fullmatch(r"([\d.]+)mbit,([\d.]+)ms", text)
        if not match:
            raise ValueError(f"{text!r} is not like 20mbit,20ms")
        return cls(float(match[1]), float(match[2]))


class Lines:
    """Relays of one shape, all in one thread. `via(port)` gives the port by which to reach `port` over a line of its own."""

    def __init__(self, shape: Shape) -> None:
        self._shape, self._loop = shape, asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def __enter__(self) -> Lines:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._cut(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _cut(self) -> None:
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def via(self, port: int) -> int:
        return asyncio.run_coroutine_threadsafe(self._listen(port), self._loop).result()

    async def _listen(self, port: int) -> int:
        async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                far_reader, far_writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:  # the process there has ended
                writer.close()
                return
            try:
                await asyncio.gather(self._pump(reader, far_writer), self._pump(far_reader, writer))
            except (OSError, asyncio.CancelledError):
                pass  # an end closed, or the benchmark is over
            finally:
                writer.close()
                far_writer.close()

        server = await asyncio.start_server(accept, "127.0.0.1", 0)
        bound: int = server.sockets[0].getsockname()[1]
        return bound

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        rate, delay = self._shape.mbit * 125_000, self._shape.ms / 2000
        waiting: deque[tuple[float, bytes]] = deque()
        arrived, room = asyncio.Event(), asyncio.Semaphore(max(4, int(rate * self._shape.ms / 1000 * 2) // _PIECE))
        deliver = asyncio.create_task(self._deliver(waiting, arrived, room, writer))
        free = 0.0
        try:
            while piece := await reader.read(_PIECE):
                await room.acquire()
                free = max(self._loop.time(), free) + len(piece) / rate
                waiting.append((free + delay, piece))
                arrived.set()
            waiting.append((max(self._loop.time(), free) + delay, b""))
            arrived.set()
            await deliver
        finally:
            deliver.cancel()

    async def _deliver(
        self, waiting: deque[tuple[float, bytes]], arrived: asyncio.Event, room: asyncio.Semaphore, writer: asyncio.StreamWriter
    ) -> None:
        while True:
            while not waiting:
                arrived.clear()
                await arrived.wait()
            due, piece = waiting.popleft()
            await asyncio.sleep(max(0.0, due - self._loop.time()))
            if not piece:
                writer.write_eof()
                return
            writer.write(piece)
            room.release()
            await writer.drain()


def measure(shape: Shape) -> dict[str, float | str]:
    """What a line delivers: Mbit/s over 2 s, milliseconds of a byte there and back; and the kernel's congestion control."""
    with Lines(shape) as lines, socket.create_server(("127.0.0.1", 0)) as far:
        near = socket.create_connection(("127.0.0.1", lines.via(far.getsockname()[1])))
        other, _ = far.accept()
        trips = []
        for _ in range(5):
            start = time.monotonic()
            near.sendall(b"x")
            other.sendall(other.recv(1))
            near.recv(1)
            trips.append(time.monotonic() - start)
        size = int(shape.mbit * 250_000)
        sender = threading.Thread(target=near.sendall, args=(bytes(size),))
        start, left = time.monotonic(), size
        sender.start()
        while left:
            left -= len(other.recv(min(left, 1 << 16)))
        seconds = time.monotonic() - start
        near.close()
        other.close()
    control = Path("/proc/sys/net/ipv4/tcp_congestion_control")
    name = control.read_text().strip() if control.exists() else "unknown"
    return {"mbit": size / 125_000 / seconds, "rtt_ms": sorted(trips)[2] * 1000, "congestion_control": name}

"""What a daemon and its workers say to each other, over a pair of Unix sockets that nobody else can reach."""

from __future__ import annotations

import array
import asyncio
import json
import os
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from common.errors import LocalProtocolError
from common.mpc.session import Array

_HEAD = 8  # bytes that tell how long what is said is
_MOST_FILES = 16
_MOST = 1 << 28  # bytes of a word
_READ = 1 << 18


@dataclass(frozen=True)
class Said:
    """One word: what it tells, with arrays and descriptors of files, which are the hearer's to close."""

    told: Mapping[str, Any]
    arrays: Sequence[Array] = ()
    files: list[int] = field(default_factory=list)


class Tether:
    """One end of such a pair."""

    def __init__(self, end: socket.socket) -> None:
        end.setblocking(False)
        self._end, self._buffer, self._files = end, bytearray(), list[int]()
        self._saying = asyncio.Lock()

    async def say(self, told: Mapping[str, Any], arrays: Sequence[Array] = (), files: Sequence[int] = ()) -> None:
        """Raises OSError where the other end is gone."""
        shapes = [[one.dtype.str, *one.shape] for one in arrays]
        head = json.dumps({**told, "arrays": shapes, "files": len(files)}).encode()
        parts = [head, *(np.ascontiguousarray(one).tobytes() for one in arrays)]
        size = sum(map(len, parts))
        left = memoryview(b"".join([size.to_bytes(_HEAD, "little"), len(head).to_bytes(_HEAD, "little"), *parts]))
        given = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", files))] if files else []
        async with self._saying:
            while left:
                try:
                    sent = self._end.sendmsg([left[:_READ]], given)
                except BlockingIOError:
                    await self._ready(writing=True)
                    continue
                left, given = left[sent:], []

    async def hear(self) -> Said | None:
        """The next word; None once the other end is gone."""
        if not await self._filled(2 * _HEAD):
            return None
        size, head = (int.from_bytes(self._buffer[at : at + _HEAD], "little") for at in (0, _HEAD))
        if size > _MOST or head > size:
            raise LocalProtocolError("a word between a daemon and its worker is too long", got=size)
        if not await self._filled(2 * _HEAD + size):
            return None
        data = bytes(self._buffer[2 * _HEAD : 2 * _HEAD + size])
        del self._buffer[: 2 * _HEAD + size]
        told: dict[str, Any] = json.loads(data[:head])
        at, arrays = head, list[Array]()
        for dtype, *shape in told.pop("arrays"):
            values = np.frombuffer(data, dtype, int(np.prod(shape)), at).reshape(shape).copy()
            arrays.append(values)
            at += values.nbytes
        count = told.pop("files")
        files, self._files = self._files[:count], self._files[count:]
        return Said(told, arrays, files)

    def close(self) -> None:
        for descriptor in self._files:
            os.close(descriptor)
        self._files = []
        self._end.close()

    async def _filled(self, size: int) -> bool:
        while len(self._buffer) < size:
            try:
                data, more, _, _ = self._end.recvmsg(_READ, socket.CMSG_SPACE(4 * _MOST_FILES), socket.MSG_CMSG_CLOEXEC)
            except BlockingIOError:
                await self._ready(writing=False)
                continue
            except OSError:
                return False
            for level, kind, given in more:
                if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                    self._files += array.array("i", given[: len(given) - len(given) % 4]).tolist()
            if not data:
                return False
            self._buffer += data
        return True

    async def _ready(self, *, writing: bool) -> None:
        loop = asyncio.get_running_loop()
        ready: asyncio.Future[None] = loop.create_future()
        add, remove = (loop.add_writer, loop.remove_writer) if writing else (loop.add_reader, loop.remove_reader)
        add(self._end, _set, ready)
        try:
            await ready
        finally:
            remove(self._end)


def _set(ready: asyncio.Future[None]) -> None:
    if not ready.done():
        ready.set_result(None)

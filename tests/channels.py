"""Transport within one process: what unit tests have in place of sockets."""

from __future__ import annotations

import asyncio

import numpy as np

from common.errors import PeerProtocolError
from common.mpc.session import Array, Round

DTYPES = (np.uint8, np.uint32, np.uint64)


class MemoryChannel:
    """One end of a pair, with the same label check as the network's."""

    def __init__(self, out: asyncio.Queue[tuple[Round, Array]], into: asyncio.Queue[tuple[Round, Array]]) -> None:
        self._out, self._in = out, into
        self.log: list[tuple[Round, Array]] = []

    async def send(self, round: Round, values: Array) -> None:
        assert values.dtype in DTYPES and values.ndim in (1, 2), "what no line carries"
        self.log.append((round, values.copy()))
        await self._out.put((round, values.copy()))

    async def receive(self, round: Round) -> Array:
        got, values = await self._in.get()
        if got != round:
            raise PeerProtocolError("a message of another round arrived", expected=round, got=got)
        return values


def memory_pair(limit: int = 0) -> tuple[MemoryChannel, MemoryChannel]:
    """Two connected channels; `limit` bounds the messages in flight each way (0: no bound)."""
    one: asyncio.Queue[tuple[Round, Array]] = asyncio.Queue(limit)
    two: asyncio.Queue[tuple[Round, Array]] = asyncio.Queue(limit)
    return MemoryChannel(one, two), MemoryChannel(two, one)

"""Two ends of a bidirectional stream in one process, for channels that expect gRPC's."""

from __future__ import annotations

import asyncio
from typing import Any

from google.protobuf.message import Message

from common.errors import WattScoreError
from common.wire.frames import Piece, Together, pack, unpack
from common.wire.peer_pb2 import Frame


class End:
    """One end; what is written is serialised and parsed again. Put None in `out` to close, an exception to break.

    breaks: why it broke, where nobody reads.
    """

    def __init__(self, out: asyncio.Queue[Any], into: asyncio.Queue[Any]) -> None:
        self.out, self._in, self.breaks = out, into, asyncio.Future[WattScoreError]()

    async def write(self, message: Message | Piece | Together) -> None:
        framed = isinstance(message, (Frame, Piece, Together))
        await self.out.put(unpack(pack(message)) if framed else type(message).FromString(message.SerializeToString()))

    async def read(self) -> Any:
        message = await self._in.get()
        if isinstance(message, Exception):
            raise message
        return message

    async def broken(self) -> WattScoreError:
        return await self.breaks

    async def close(self) -> None:
        await self.out.put(None)


def duplex(limit: int = 0) -> tuple[End, End]:
    """Two connected ends; `limit` bounds the messages on their way each way (0: no bound)."""
    one: asyncio.Queue[Any] = asyncio.Queue(limit)
    two: asyncio.Queue[Any] = asyncio.Queue(limit)
    return End(one, two), End(two, one)

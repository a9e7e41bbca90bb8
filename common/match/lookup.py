"""Which of few ids the other party holds, asked while a session lasts: `ecdh`, all but one product a row done at its start.

The grid shows points of all its rows, and the bank hides each once more. Whenever the bank asks for some it sends points of
these alone, which the grid hides in the same way and finds among the bank's. So the grid knows of each row that the bank hears
of that it was asked for; of one that it does not hold, only that there was one. PROTOCOL.md section 8.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

import numpy as np
import pyarrow as pa

from common.match.agree import MatchLimits, Rows, check_count, check_sizes
from common.match.curve import FEW, POINT_BYTES, Points, Secret, check_distinct, hash_to_curve, sort_keys, validate
from common.match.ecdh import PIECE, random_order
from common.mpc.session import Kind, Session

T = TypeVar("T")


class Listed:
    """The grid's rows, shown to the bank under a secret of this session: `order[k]` is the row of point k."""

    def __init__(self, session: Session, secret: Secret, order: Rows, doubled: Points) -> None:
        """doubled: point k under the bank's secret too."""
        self._session, self._secret, self.order = session, secret, order
        keys = sort_keys(doubled)
        sorted_ = np.argsort(keys)
        self._keys, self._rows = keys[sorted_], order[sorted_]

    @classmethod
    async def show(cls, session: Session, names: pa.StringArray, domain: bytes, limits: MatchLimits) -> Listed:
        """Sends the number of `names` (n,), distinct, and a point of each, shuffled: 8 + 32 n bytes; 32 n come back.

        Raises PolicyError for more than max_ids, PeerProtocolError for two that came back alike.
        """
        check_count(len(names), limits)
        await session.send(Kind.PSI_COUNT, np.array([len(names)], np.uint64))
        texts, secret, order = names.to_pylist(), Secret(), random_order(len(names))
        for start in range(0, len(order), PIECE):
            part = [texts[row] for row in order[start : start + PIECE].tolist()]
            await session.send(Kind.PSI_POINTS, await asyncio.to_thread(_hidden, secret, part, domain))
        doubled = np.empty((len(order), POINT_BYTES), np.uint8)
        for start in range(0, len(order), PIECE):
            into = doubled[start : start + PIECE]
            into[:] = await session.receive(Kind.PSI_REPLIES, np.uint8, into.shape)
        await asyncio.to_thread(check_distinct, doubled)
        return cls(session, secret, order, doubled)

    async def answer(self, count: int) -> Rows:
        """The own row of each that the bank asks for, (count,); -1 for one that is not held. No row comes twice.

        Raises PeerProtocolError for one that is asked for twice: by products, as a point and its sum with one of low order
        have the same. Where else a point lies matters to nobody, since no product leaves.
        """
        points = await self._session.receive(Kind.PSI_POINTS, np.uint8, (count, POINT_BYTES))
        products = await _aside(count, lambda: self._secret.multiply(points))
        check_distinct(products)
        asked = sort_keys(products)
        at = np.minimum(np.searchsorted(self._keys, asked), len(self._keys) - 1)
        return np.where(self._keys[at] == asked, self._rows[at], -1)


class Asking:
    """The bank's end: it asks by points under the secret by which it has hidden the grid's."""

    def __init__(self, session: Session, secret: Secret, domain: bytes) -> None:
        self._session, self._secret, self._domain = session, secret, domain
        self._places: Mapping[str, int] = {}
        self._ahead, self._made = np.empty((0, POINT_BYTES), np.uint8), bytearray()

    @classmethod
    async def hear(cls, session: Session, domain: bytes, limits: MatchLimits) -> Asking:
        """Takes what `Listed.show` sends, and hides it. Raises PeerProtocolError for no points, PolicyError for too many."""
        count = int((await session.receive(Kind.PSI_COUNT, np.uint64, (1,)))[0])
        check_sizes(1, count, limits.model_copy(update={"min_matched": 1}))
        points, secret = np.empty((count, POINT_BYTES), np.uint8), Secret()
        for start in range(0, count, PIECE):
            into = points[start : start + PIECE]
            into[:] = await session.receive(Kind.PSI_POINTS, np.uint8, into.shape)
        await asyncio.to_thread(validate, points)
        doubled = await asyncio.to_thread(secret.multiply, points)
        for start in range(0, count, PIECE):
            await session.send(Kind.PSI_REPLIES, doubled[start : start + PIECE])
        return cls(session, secret, domain)

    async def ask(self, names: Sequence[str]) -> None:
        """Asks for rows of these `names` (k,), distinct: one message, 32 k bytes."""
        await self._session.post(Kind.PSI_POINTS, await self._points(names))

    async def hide_ahead(self, places: Mapping[str, int]) -> None:
        """Makes the points of names that may be asked for, which a request would else wait for: 0.2 ms each, and 32 bytes.

        places: of each name, a number below the most of them. Half of the time is left to who asks meanwhile.
        """
        self._places, names = places, list(places)
        most = max(places.values(), default=-1) + 1
        self._ahead, self._made = np.empty((most, POINT_BYTES), np.uint8), bytearray(most)
        for start in range(0, len(names), FEW):
            part, begun = names[start : start + FEW], time.monotonic()
            rows = [places[name] for name in part]
            self._ahead[rows] = await asyncio.to_thread(_hidden, self._secret, part, self._domain)
            for row in rows:
                self._made[row] = True
            await asyncio.sleep(time.monotonic() - begun)

    async def _points(self, names: Sequence[str]) -> Points:
        rows = [self._places.get(name, -1) for name in names]
        if len(self._made) and min(rows) >= 0 and all(self._made[row] for row in rows):
            return self._ahead[rows]
        return await _aside(len(names), lambda: _hidden(self._secret, names, self._domain))


async def _aside(points: int, work: Callable[[], T]) -> T:
    """In a thread where it takes long enough for others to wait."""
    return work() if points <= FEW else await asyncio.to_thread(work)


def _hidden(secret: Secret, names: Sequence[str], domain: bytes) -> Points:
    return secret.multiply(hash_to_curve(names, domain))

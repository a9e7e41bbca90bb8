"""Which of few ids the other party holds, asked while a session lasts: `ecdh` with the grid's part done once, at its start.

The grid shows points of all its rows; whenever the bank asks for some, it hides these in the same way and finds the replies
among the grid's points. The grid learns of a row only that the bank asked for it, and only of rows that it holds. PROTOCOL.md
section 8.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

import numpy as np
import pyarrow as pa

from common.errors import PeerProtocolError
from common.match.agree import MatchLimits, Rows, check_count, check_sizes
from common.match.curve import FEW, POINT_BYTES, Points, Secret, check_distinct, hash_to_curve, sort_keys, validate
from common.match.ecdh import PIECE, random_order
from common.mpc.session import Kind, Session

T = TypeVar("T")

NOT_HERE = 2**64 - 1  # the place of a row that the grid does not hold


class Listed:
    """The grid's rows, shown to the bank under a secret of this session: row `order[k]` is point k."""

    def __init__(self, session: Session, secret: Secret, order: Rows) -> None:
        self._session, self._secret, self._order = session, secret, order

    @classmethod
    async def show(cls, session: Session, names: pa.StringArray, domain: bytes, limits: MatchLimits) -> Listed:
        """Sends the number of `names` (n,), distinct, and a point of each, shuffled: 8 + 32 n bytes.

        Raises PolicyError for more than max_ids.
        """
        check_count(len(names), limits)
        await session.send(Kind.PSI_COUNT, np.array([len(names)], np.uint64))
        texts, secret, order = names.to_pylist(), Secret(), random_order(len(names))
        for start in range(0, len(order), PIECE):
            part = [texts[row] for row in order[start : start + PIECE].tolist()]
            await session.send(Kind.PSI_POINTS, await asyncio.to_thread(_hidden, secret, part, domain))
        return cls(session, secret, order)

    async def answer(self, count: int) -> Rows:
        """The own rows, (found,), among `count` that the bank asks for. 32 bytes each go back."""
        points = await self._session.receive(Kind.PSI_POINTS, np.uint8, (count, POINT_BYTES))
        await _aside(count, lambda: validate(points))
        replies = await _aside(count, lambda: self._secret.multiply(points))
        await self._session.send(Kind.PSI_REPLIES, replies)
        places = await self._session.receive(Kind.ASKED, np.uint64, (count,))
        here = places[places != NOT_HERE]
        if len(np.unique(here)) < len(here) or (len(here) and int(here.max()) >= len(self._order)):
            raise PeerProtocolError("the bank asked for a row twice at once, or for one that was not shown")
        rows: Rows = self._order[here.astype(np.int64)]
        return rows


class Asking:
    """The bank's end: the grid's points, each multiplied by this side's secret as well, in order."""

    def __init__(self, session: Session, secret: Secret, domain: bytes, doubled: Points) -> None:
        self._session, self._secret, self._domain = session, secret, domain
        keys = sort_keys(doubled)
        self._order = np.argsort(keys)
        self._keys = keys[self._order]
        self._places: Mapping[str, int] = {}
        self._ahead, self._made = np.empty((0, POINT_BYTES), np.uint8), np.empty(0, np.bool_)

    @classmethod
    async def hear(cls, session: Session, domain: bytes, limits: MatchLimits) -> Asking:
        """Takes what `Listed.show` sends. Raises PeerProtocolError for what are no points, PolicyError for too many."""
        count = int((await session.receive(Kind.PSI_COUNT, np.uint64, (1,)))[0])
        check_sizes(1, count, limits.model_copy(update={"min_matched": 1}))
        points, secret = np.empty((count, POINT_BYTES), np.uint8), Secret()
        for start in range(0, count, PIECE):
            into = points[start : start + PIECE]
            into[:] = await session.receive(Kind.PSI_POINTS, np.uint8, into.shape)
        await asyncio.to_thread(validate, points)
        doubled = await asyncio.to_thread(secret.multiply, points)
        await asyncio.to_thread(check_distinct, doubled)
        return cls(session, secret, domain, doubled)

    async def find(self, names: Sequence[str]) -> Rows:
        """The place of each of `names` (k,), distinct, among the grid's points; -1 where the grid lacks it. One round trip."""
        await self._session.send(Kind.PSI_POINTS, await self._points(names))
        replies = await self._session.receive(Kind.PSI_REPLIES, np.uint8, (len(names), POINT_BYTES))
        asked = sort_keys(replies)
        at = np.minimum(np.searchsorted(self._keys, asked), len(self._keys) - 1)
        return np.where(self._keys[at] == asked, self._order[at], -1)

    async def hide_ahead(self, places: Mapping[str, int]) -> None:
        """Makes the points of names that may be asked for, which a request would else wait for: 0.2 ms each, and 32 bytes.

        places: of each name, a number below the most of them. Half of the time is left to who asks meanwhile.
        """
        self._places, names = places, list(places)
        most = max(places.values(), default=-1) + 1
        self._ahead, self._made = np.empty((most, POINT_BYTES), np.uint8), np.zeros(most, np.bool_)
        for start in range(0, len(names), FEW):
            part, begun = names[start : start + FEW], time.monotonic()
            rows = [places[name] for name in part]
            self._ahead[rows] = await asyncio.to_thread(_hidden, self._secret, part, self._domain)
            self._made[rows] = True
            await asyncio.sleep(time.monotonic() - begun)

    async def _points(self, names: Sequence[str]) -> Points:
        rows = [self._places.get(name, -1) for name in names]
        if len(self._made) and min(rows) >= 0 and bool(self._made[rows].all()):
            return self._ahead[rows]
        return await _aside(len(names), lambda: _hidden(self._secret, names, self._domain))

    async def tell(self, places: Rows) -> None:
        """Says which rows are asked for; of others nothing but that there are as many."""
        told = np.where(places < 0, np.uint64(NOT_HERE), places.astype(np.uint64))
        await self._session.send(Kind.ASKED, told)


async def _aside(points: int, work: Callable[[], T]) -> T:
    """In a thread where it takes long enough for others to wait."""
    return work() if points <= FEW else await asyncio.to_thread(work)


def _hidden(secret: Secret, names: Sequence[str], domain: bytes) -> Points:
    return secret.multiply(hash_to_curve(names, domain))

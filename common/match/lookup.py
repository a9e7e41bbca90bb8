"""Which of few ids the other party holds, asked while a session lasts: `ecdh` with the grid's part done once, at its start.

The grid shows points of all its rows; whenever the bank asks for some, it hides these in the same way and finds the replies
among the grid's points. The grid learns of a row only that the bank asked for it, and only of rows that it holds. PROTOCOL.md
section 8.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from common.errors import PeerProtocolError
from common.match.agree import MatchLimits, Rows, check_count, check_sizes
from common.match.curve import POINT_BYTES, Points, Secret, check_distinct, hash_to_curve, sort_keys, validate
from common.match.ecdh import PIECE, random_order
from common.mpc.session import Kind, Session

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
        validate(points)
        await self._session.send(Kind.PSI_REPLIES, self._secret.multiply(points))
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
        await self._session.send(Kind.PSI_POINTS, _hidden(self._secret, names, self._domain))
        replies = await self._session.receive(Kind.PSI_REPLIES, np.uint8, (len(names), POINT_BYTES))
        asked = sort_keys(replies)
        at = np.minimum(np.searchsorted(self._keys, asked), len(self._keys) - 1)
        return np.where(self._keys[at] == asked, self._order[at], -1)

    async def tell(self, places: Rows) -> None:
        """Says which rows are asked for; of others nothing but that there are as many."""
        told = np.where(places < 0, np.uint64(NOT_HERE), places.astype(np.uint64))
        await self._session.send(Kind.ASKED, told)


def _hidden(secret: Secret, names: Sequence[str], domain: bytes) -> Points:
    return secret.multiply(hash_to_curve(names, domain))

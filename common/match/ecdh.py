"""Which ids both parties hold, by Diffie-Hellman over Curve25519: neither shows an id that the other does not hold."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from common.errors import LocalProtocolError
from common.match.agree import MatchLimits, Rows, check_count, check_matched, check_sizes, confirm
from common.match.curve import POINT_BYTES, Points, Progress, Secret, check_distinct, hash_to_curve, sort_keys, validate
from common.mpc.session import Kind, Session

PIECE = 65_536  # points a round


async def match_ids(session: Session, ids: pa.StringArray, *, domain: bytes, limits: MatchLimits) -> Rows:
    """The rows of `ids` that the other party holds too, int64 (matched,), in an order that both parties know.

    Entry k is the same enterprise on both sides. Both learn the matched ids and the size of the other's set, no more.
    The parties are taken to follow the steps; what they send is checked for form, yet a peer that does not follow them
    could claim ids it lacks.

    1. Exchange the sizes n (mine) and m (theirs); stop if a limit forbids them.
    2. Shuffle my ids, hash each to a point H(id), multiply by a fresh secret a, and exchange the points a H(id).
    3. Check their points b H(id), multiply each by a, and exchange these replies, in the order the points came.
       The shuffle of step 2 means that an unmatched id's place says nothing.
    4. A reply to me, a b H(id), that is also among the points of step 3 is a common id. Sort by that point.
    5. Exchange the number of common ids and a digest of their points, which must agree.

    domain: the same on both sides and of this job only. Progress is reported in points, n + m in all.
    Rounds: 2 + 2 ceil(max(n, m) / 65536). Bytes sent: 48 + 32 n + 32 m.
    Raises LocalProtocolError (an id twice), PolicyError (a limit, no common id, or a plan that does not disclose
    matched_ids), PeerProtocolError.
    """
    check_count(len(ids), limits)
    texts = await asyncio.to_thread(ids.to_pylist)
    await asyncio.to_thread(_check_distinct, texts)
    theirs = int((await session.exchange(Kind.PSI_COUNT, np.array([len(ids)], np.uint64)))[0])
    check_sizes(len(ids), theirs, limits)

    secret, done = Secret(), _Done(session, len(ids) + theirs)
    order = await asyncio.to_thread(random_order, len(ids))
    points = await _exchange_points(session, [texts[row] for row in order.tolist()], theirs, domain, secret, done)
    await asyncio.to_thread(validate, points)
    replies, doubled = await _exchange_replies(session, points, len(ids), secret, done)

    common, places = await asyncio.to_thread(_intersect, replies, doubled)
    await confirm(session, common)
    check_matched(len(common), limits)
    rows: Rows = order[places]
    return rows


class _Done:
    """Progress over several pieces, handed from worker threads to the event loop."""

    def __init__(self, session: Session, total: int) -> None:
        self._loop, self._reporter, self._total, self._before = asyncio.get_running_loop(), session.reporter, total, 0

    def piece(self, size: int) -> Progress:
        """The callback for the next `size` points."""
        before = self._before
        self._before += size

        def report(done: int) -> None:
            self._loop.call_soon_threadsafe(self._reporter.progress, before + done, self._total)

        return report


def _check_distinct(ids: Sequence[str]) -> None:
    if len(set(ids)) != len(ids):
        raise LocalProtocolError("the ids to match must be distinct")


def random_order(count: int) -> Rows:
    # a tie of two 64-bit keys (10^-5 at 2 * 10^7 ids) only leaves that pair in its old order
    return np.argsort(np.frombuffer(os.urandom(8 * count), np.uint64), kind="stable").astype(np.int64)


async def _exchange_points(
    session: Session, ids: Sequence[str], theirs: int, domain: bytes, secret: Secret, done: _Done
) -> Points:
    """Sends a H(id) for each of `ids`; returns their points (theirs, 32)."""
    points = np.empty((theirs, POINT_BYTES), np.uint8)

    def blind(part: Sequence[str], progress: Progress) -> Points:
        return secret.multiply(hash_to_curve(part, domain), progress)

    for start in range(0, max(len(ids), theirs), PIECE):
        part, into = ids[start : start + PIECE], points[start : start + PIECE]
        mine = await asyncio.to_thread(blind, part, done.piece(len(part)))
        into[:] = await session.exchange(Kind.PSI_POINTS, mine, shape=into.shape)
    return points


async def _exchange_replies(session: Session, points: Points, mine: int, secret: Secret, done: _Done) -> tuple[Points, Points]:
    """Sends each of their `points` multiplied; returns their replies to me (mine, 32), and what was sent."""
    replies, doubled = np.empty((mine, POINT_BYTES), np.uint8), np.empty_like(points)
    for start in range(0, max(mine, len(points)), PIECE):
        part, into = points[start : start + PIECE], replies[start : start + PIECE]
        doubled[start : start + PIECE] = await asyncio.to_thread(secret.multiply, part, done.piece(len(part)))
        into[:] = await session.exchange(Kind.PSI_REPLIES, doubled[start : start + PIECE], shape=into.shape)
    return replies, doubled


def _intersect(replies: Points, doubled: Points) -> tuple[npt.NDArray[np.bytes_], Rows]:
    """The common points, sorted, and the place of each among `replies`."""
    check_distinct(replies)
    check_distinct(doubled)  # two of their points that differ by a small-order point only
    common, places, _ = np.intersect1d(sort_keys(replies), sort_keys(doubled), assume_unique=True, return_indices=True)
    return common, places.astype(np.int64)

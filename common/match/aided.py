"""Which ids both parties hold, by way of the neutral process: tags out, a bit a tag back. PROTOCOL.md section 8.

Server-aided private set intersection: Kamara, Mohassel, Raykova and Sadeghian, Financial Cryptography 2014. That process
learns how many ids each side has and how many both, and nothing of an id unless it colludes with a party.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from hashlib import blake2b

import numpy as np
import pyarrow as pa

from common.errors import LocalProtocolError
from common.match.agree import MatchLimits, Rows, check_count, check_matched, check_sizes, confirm
from common.match.tags import PIECE, Marks, Tags, is_ascending, move_up
from common.mpc.session import Channel, Kind, Session
from common.party import Party
from common.rows.cmac import KEY_BYTES, cmac

Neutral = Callable[[], AbstractAsyncContextManager[Channel]]  # a line to the neutral process, for one matching

_HALF_WORDS = 4  # random words of each party in the key


async def match_aided(session: Session, ids: pa.StringArray, *, domain: bytes, limits: MatchLimits, neutral: Neutral) -> Rows:
    """The rows of `ids` that the other party holds too, int64 (matched,), in an order that both parties know.

    Entry k is the same enterprise on both sides. Both learn the matched ids and the size of the other's set, no more.

    1. Exchange the sizes n and m and 32 random bytes each; stop if a limit forbids the sizes. The bytes and `domain`, of
       this job only, make a key.
    2. Send the neutral process both sizes and the keyed hashes of my ids, ascending.
    3. Take a bit for each of them: whether the other party sent it too.
    4. Exchange the number of common ids and a digest of their hashes, which must agree.

    Rounds with the other party: 2; bytes sent to it: 80. To the neutral process 16 + 16 n bytes, from it ceil(n / 8).
    Raises LocalProtocolError (an id twice), PolicyError (a limit, no common id, or a plan that does not disclose matched_ids
    and counts), PeerProtocolError (also when the two were told different things), PeerLost or PeerFailed.
    """
    check_count(len(ids), limits)
    key, theirs = await _agree_on_key(session, len(ids), domain, limits)
    tags, order = await asyncio.to_thread(make_tags, ids, key)
    async with neutral() as line:
        common = await _ask(session.beside(line, "the coordinator"), tags, theirs)
    found, rows = move_up(tags, common), move_up(order, common)
    await confirm(
        session, found, remedy="If both run one version, the coordinator told them different things: do not trust it."
    )
    check_matched(len(found), limits)
    return rows


def make_tags(ids: pa.StringArray, key: bytes) -> tuple[Tags, Rows]:
    """The tags of distinct `ids` (n,) under `key`, ascending, (n, 2); and of which id each is, int64 (n,).

    Raises LocalProtocolError for an id that comes twice.
    """
    tags = cmac(ids, key)
    order = np.argsort(tags[:, 0])
    _arrange(tags, order)
    if (tags[1:, 0] == tags[:-1, 0]).any():
        again = np.lexsort((tags[:, 1], tags[:, 0]))
        _arrange(tags, again)
        order = order[again]
    if not is_ascending(tags):
        raise LocalProtocolError("the ids to match must be distinct")  # or two ids have one tag: 2^-79 for 2 * 10^7 ids
    return tags, order


def _arrange(tags: Tags, order: Rows) -> None:
    """Puts `tags` in this order where they stand, a word of each at a time: many are not held twice."""
    for word in range(2):
        tags[:, word] = tags[order, word]


async def _agree_on_key(session: Session, count: int, domain: bytes, limits: MatchLimits) -> tuple[bytes, int]:
    """A key that the two parties know and nobody else, and how many ids the other has."""
    half = np.frombuffer(os.urandom(8 * _HALF_WORDS), "<u8")
    theirs = await session.exchange(Kind.PSI_COUNT, np.concatenate([np.array([count], np.uint64), half]))
    check_sizes(count, int(theirs[0]), limits)
    mine, other = half.tobytes(), theirs[1:].astype("<u8").tobytes()
    halves = mine + other if session.party is Party.GRID else other + mine
    return blake2b(halves + domain, digest_size=KEY_BYTES, person=b"wattscore tags").digest(), int(theirs[0])


async def _ask(neutral: Session, tags: Tags, theirs: int) -> Marks:
    """Which of my tags are common, bool (n,)."""
    await neutral.send(Kind.PSI_SIZES, np.array([len(tags), theirs], np.uint64))
    for low in range(0, len(tags), PIECE):
        await neutral.send(Kind.PSI_TAGS, piece := tags[low : low + PIECE])
        neutral.reporter.progress(low + len(piece), len(tags))
    bits = await neutral.receive(Kind.PSI_COMMON, np.uint8, (-(-len(tags) // 8),))
    return np.unpackbits(bits, count=len(tags)).view(np.bool_)

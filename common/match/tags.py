"""Which ids both hold, where a program beside the daemon compares them: tags out, common tags in. PROTOCOL.md section 8."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterable, Sequence
from hashlib import blake2b
from typing import Protocol

import numpy as np
import numpy.typing as npt

from common.errors import HelperFailed, LocalProtocolError
from common.match.curve import encode_id
from common.match.ecdh import MatchLimits, Rows, check_ids, check_matched, check_sizes, confirm, random_order
from common.mpc.session import Kind, Session

Tags = npt.NDArray[np.uint8]

TAG_BYTES = 16
_KEY_WORDS = 4


class Find(Protocol):
    """A protocol for the common tags of both parties' sets."""

    async def __call__(self, session: Session, tags: Tags, most: int) -> Tags:
        """Of `tags`, distinct, uint8 (n, 16), those that the other party has too, sorted. `most`: the larger n of the two."""


async def match_tags(session: Session, ids: Sequence[str], *, domain: bytes, limits: MatchLimits, find: Find) -> Rows:
    """The rows of `ids` that the other party holds too, int64 (matched,), in an order that both parties know.

    Promises what `match.match_ids` does, with the security of `find`.

    1. Exchange the sizes n and m and a random key half each; stop if a limit forbids the sizes.
    2. Tag each id: 16 bytes of BLAKE2b under both halves and `domain`. Both parties can tag any id, nobody else can.
    3. Shuffle the tags, with one random tag more: equal sets must not look equal, and no digest of a set may be guessed.
    4. `find` the common tags. Sort by tag, which is an order that says nothing of ids.
    5. Exchange the number of common tags and their digest, which must agree.

    Rounds: 2, and those of `find`. Bytes sent: 80, and those of `find`. Raises what `match_ids` and `find` raise.
    """
    await asyncio.to_thread(check_ids, ids, limits)
    half = np.frombuffer(os.urandom(8 * _KEY_WORDS), "<u8")
    mine = np.concatenate([[len(ids)], half], dtype=np.uint64, casting="unsafe")
    theirs = await session.exchange(Kind.PSI_COUNT, mine)
    check_sizes(len(ids), int(theirs[0]), limits)

    halves = sorted((half.tobytes(), theirs[1:].astype("<u8").tobytes()))
    tags = await asyncio.to_thread(_tag, ids, _key(halves, domain))
    order = await asyncio.to_thread(np.argsort, _keys(tags))
    sent = np.concatenate([tags, np.frombuffer(os.urandom(TAG_BYTES), np.uint8)[None]])[random_order(len(tags) + 1)]
    common = _keys(await find(session, sent, max(len(ids), int(theirs[0])) + 1))
    rows = await asyncio.to_thread(_places, _keys(tags), order, common)
    await confirm(session, common)
    check_matched(len(common), limits)
    return rows


def _key(halves: list[bytes], domain: bytes) -> bytes:
    return blake2b(b"".join(halves) + domain, digest_size=32, person=b"wattscore tags").digest()


def _tag(ids: Iterable[str], key: bytes) -> Tags:
    start = blake2b(key=key, digest_size=TAG_BYTES)

    def tag(text: str) -> bytes:
        state = start.copy()
        state.update(encode_id(text))
        return state.digest()

    return np.frombuffer(b"".join(map(tag, ids)), np.uint8).reshape(-1, TAG_BYTES)


def _keys(tags: Tags) -> npt.NDArray[np.bytes_]:
    return np.ascontiguousarray(tags).view(f"S{TAG_BYTES}").reshape(-1)


def _places(keys: npt.NDArray[np.bytes_], order: Rows, common: npt.NDArray[np.bytes_]) -> Rows:
    """The place among `keys`, which `order` sorts, of each common tag. Checks what a helper says: own tags, once, sorted."""
    ordered = keys[order]
    if (ordered[1:] == ordered[:-1]).any():
        raise LocalProtocolError("two ids have one tag")  # 2^-79 for 2 * 10^7 ids
    where = np.searchsorted(ordered, common)
    if (where == len(keys)).any() or not np.array_equal(ordered[where], common) or not (common[1:] > common[:-1]).all():
        raise HelperFailed("the matcher named ids that this party has not, or one twice")
    return order[where].astype(np.int64)

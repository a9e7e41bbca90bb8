"""Both parties' seeds before a job begins: they differ, and neither was met before. PROTOCOL.md section 2."""

from __future__ import annotations

import asyncio

import numpy as np

from common.errors import PeerProtocolError
from common.home.seedbook import SeedBook
from common.mpc.seeds import FINGERPRINT_BYTES, fingerprint, own_seed
from common.mpc.session import Kind, Session


async def agree_on_seeds(session: Session, dealt: bytes, nonce: bytes, book: SeedBook) -> bytes:
    """This party's seed for the job, 32 bytes. Two rounds, 64 bytes and 1 byte each way.

    1. enter the fingerprints of what was dealt and of the seed made of it; then exchange both
    2. enter the other's, compare, and say whether all four are new and differ
    Raises PeerProtocolError at both parties where either has met one of them before, or two are equal.
    """
    seed = own_seed(dealt, nonce)
    mine = [fingerprint(dealt), fingerprint(seed)]
    new = await asyncio.to_thread(book.enter, mine)
    theirs = (await session.exchange(Kind.SEEDS, np.frombuffer(b"".join(mine), np.uint8))).tobytes()
    others = [theirs[:FINGERPRINT_BYTES], theirs[FINGERPRINT_BYTES:]]
    new = await asyncio.to_thread(book.enter, others) and new  # an equal one was entered in step 1
    good = await session.exchange(Kind.SEEDS, np.array([new], np.uint8))
    if not (new and good[0]):
        raise PeerProtocolError(
            "the coordinator dealt a seed that one of the parties has met before, or both the same: nothing was sent",
            remedy="Do not use this coordinator until its operator has found out why.",
        )
    return seed

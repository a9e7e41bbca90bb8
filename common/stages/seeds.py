"""Both parties' seeds before a job begins: they differ, and neither was met before. PROTOCOL.md section 2."""

from __future__ import annotations

import asyncio

import numpy as np

from common.errors import PeerProtocolError
from common.home.seedbook import SeedBook
from common.mpc.correlations.dealt import DealtSeed
from common.mpc.seeds import FINGERPRINT_BYTES, fingerprint, own_seed
from common.mpc.session import Kind, Session
from common.party import Party


async def agree_on_seeds(session: Session, dealt: DealtSeed, nonce: bytes, book: SeedBook) -> bytes:
    """This party's seed for the job, 32 bytes. Two rounds, 64 bytes and 1 byte each way.

    1. enter the fingerprints of what was dealt and of the seed made of it; then exchange both
    2. enter the other's, compare, and say whether all four are new and differ, and those of the seeds what the dealer told
    Raises PeerProtocolError at both parties where either has met one of them before, two are equal, or the dealer told others.
    """
    seed = own_seed(dealt.seed, nonce)
    mine = [fingerprint(dealt.seed), fingerprint(seed)]
    new = await asyncio.to_thread(book.enter, mine)
    theirs = (await session.exchange(Kind.SEEDS, np.frombuffer(b"".join(mine), np.uint8))).tobytes()
    others = [theirs[:FINGERPRINT_BYTES], theirs[FINGERPRINT_BYTES:]]
    new = await asyncio.to_thread(book.enter, others) and new  # an equal one was entered in step 1
    made = (mine[1], others[1]) if session.party is Party.GRID else (others[1], mine[1])
    new = new and made == dealt.committed
    good = await session.exchange(Kind.SEEDS, np.array([new], np.uint8))
    if not (new and good[0]):
        raise PeerProtocolError(
            "the coordinator dealt a seed that a party has met before, one for both, or another than it says: nothing was sent",
            remedy="Do not use this coordinator until its operator has found out why.",
        )
    return seed

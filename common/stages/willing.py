"""All parties of a job say that they can charge their books before any does: what one refuses, none has paid for.

PROTOCOL.md section 10.
"""

from __future__ import annotations

import numpy as np

from common.errors import PeerProtocolError
from common.mpc.session import Kind, Session


async def agree_to_charge(session: Session) -> None:
    """One round of 1 byte, once this party has looked at its books: who cannot charge them has ended the job, by its cause.

    session: with the other party, or at a grid with all banks, of which none hears before all have said so. Raises
    PeerProtocolError where one says another thing.
    """
    word = np.ones(1, np.uint8)
    if not np.array_equal(word, await session.common(Kind.RESUME, word)):
        raise PeerProtocolError("another party does not say that it can charge its books, nor why not")

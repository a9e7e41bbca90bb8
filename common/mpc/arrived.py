"""Whether a training has arrived where it should: one random combination of what is near zero at its end, told to the bank.

A word changed on the way, by a party or by the dealer, spoils what follows; a descent that went right has all but stopped. The
bank alone is told, as what the combination says depends on labels; that the job goes on tells the grid one bit. Section 17.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from common.errors import PeerProtocolError
from common.mpc.fixedpoint import Words
from common.mpc.session import Kind, Session
from common.party import Party

CHECK_BITS = 5  # the combination is told in steps of 2^-5


@dataclass(frozen=True)
class Rest:
    """How large the combination is of a training that arrived as a rule, and at most."""

    usual: float
    most: float


async def check_arrived(session: Session, share: Words, scale: int, coin: bytes, rest: Rest) -> bool:
    """Whether it is as usual; at the grid, which does not learn it, True. One message of 8 bytes, from the grid to the bank.

    Raises PeerProtocolError at the bank where it is beyond the most.

    share: this party's share of (k,) values at `scale`. coin: the same at both, and known to nobody before the shares are.
    Each shifts its own share of the sum: off by one step at most, but for a chance of |sum| / 2^64.
    """
    total: Words = np.sum(np.where(signs(coin, len(share)), share, -share), keepdims=True, dtype=np.uint64)
    shift = np.uint64(scale - CHECK_BITS)
    if session.party is Party.GRID:
        await session.send(Kind.TRAINING_CHECK, np.asarray(total >> shift))
        return True
    theirs = await session.receive(Kind.TRAINING_CHECK, np.uint64, (1,))
    found = (theirs - (-total >> shift)) << shift  # its lowest bits are zero: 64 - shift of them count
    size = abs(int(found.view(np.int64)[0]) / 2.0**scale)
    if size > rest.most:
        raise PeerProtocolError(
            "the training did not arrive: a message of the other party or of the dealer was wrong, or its steps are too long",
            remedy="Train again, without `step` in the plan. If it fails again, `audit` tells whether the dealer was wrong.",
        )
    return size <= rest.usual


def signs(coin: bytes, count: int) -> npt.NDArray[Any]:
    """Fair bits, (count,), one for each value: whether it is added or taken away."""
    drawn = hashlib.shake_256(b"wattscore.check" + coin).digest(-(-count // 8))
    return np.unpackbits(np.frombuffer(drawn, np.uint8), count=count).astype(bool)

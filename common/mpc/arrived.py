"""Whether a training has arrived where it should: random combinations of what is small if it went right, told to the bank.

A word changed on the way, by a party or by the dealer, moves weights far. A descent over all rows that went right has all but
stopped at its end; one over batches never moved far. The bank alone is told, as what the combinations say depends on labels;
that the job goes on tells the grid one bit. Section 17.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from common.errors import PeerProtocolError
from common.mpc.fixedpoint import Words
from common.mpc.session import Kind, Session
from common.party import Party

CHECK_BITS = 5  # combinations are told in steps of 2^-5
COMBINATIONS = 4  # one alone may be near zero, whatever the values are


@dataclass(frozen=True)
class Rest:
    """How large combinations are of a training that arrived as a rule, and at most. bits: they are told in steps of 2^-bits.

    step: what to do with a plan whose steps may be too long. dealt: whether anybody dealt, who may have dealt wrong.
    """

    usual: float
    most: float
    bits: int = CHECK_BITS
    step: str = "without `step` in the plan"
    dealt: bool = True


async def check_arrived(session: Session, sums: Words, scale: int, rest: Rest) -> bool:
    """Whether all are as usual; at the grid, which does not learn it, True. One message, from the grid to the bank.

    Raises PeerProtocolError at the bank where one is beyond the most.

    sums: this party's shares of `combinations` at `scale`, (c,): 8 bytes each. Each party shifts its own: off by one step at
    most, but for a chance of |sum| / 2^64.
    """
    shift = np.uint64(scale - rest.bits)
    if session.party is Party.GRID:
        await session.send(Kind.TRAINING_CHECK, np.asarray(sums >> shift))
        return True
    theirs = await session.receive(Kind.TRAINING_CHECK, np.uint64, sums.shape)
    found = (theirs - (-sums >> shift)) << shift  # its lowest bits are zero: 64 - shift of them count
    size = float(np.abs(found.view(np.int64) / 2.0**scale).max())
    if size > rest.most:
        whose = "the other party or of the dealer" if rest.dealt else "the other party"
        audit = " If it fails again, `audit` tells whether the dealer was wrong." if rest.dealt else ""
        raise PeerProtocolError(
            f"the training did not arrive: a message of {whose} was wrong, or its steps are too long",
            remedy=f"Train again, {rest.step}.{audit}",
        )
    return size <= rest.usual


def combinations(share: Words, coin: bytes) -> Words:
    """Sums of the values, (k,), each added or taken away as `signs` says, (COMBINATIONS,): linear, so each share does it alone.

    coin: the same at both parties, and known to nobody before the shares are.
    """
    drawn = signs(coin, COMBINATIONS * len(share)).reshape(COMBINATIONS, -1)
    sums: Words = np.where(drawn, share, -share).sum(axis=1, dtype=np.uint64)
    return sums


def path_combinations(shares: Sequence[Words], coin: bytes) -> Words:
    """The same of what steps moved, (m,) each: half of `combinations`, and these with every second step's turned round.

    A value that one step moves and the next one moves back is in one of the two wherever signs are alike or not.
    """
    turned = [-share if number % 2 else share for number, share in enumerate(shares)]
    half = COMBINATIONS // 2
    return np.concatenate([combinations(np.concatenate(one), coin)[:half] for one in (shares, turned)])


def signs(coin: bytes, count: int) -> npt.NDArray[Any]:
    """Fair bits, (count,), one for each value: whether it is added or taken away."""
    drawn = hashlib.shake_256(b"wattscore.check" + coin).digest(-(-count // 8))
    return np.unpackbits(np.frombuffer(drawn, np.uint8), count=count).astype(bool)

"""The only way out of secret sharing: weights, rounded under the sharing, each block to its owner."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import numpy as np

from common.mpc.correlations.asked import Correlations
from common.mpc.fixedpoint import JOINT_LIMIT, WEIGHT_SCALE, Reals, Words, decode
from common.mpc.session import Kind, Session
from common.mpc.share import Share
from common.mpc.truncate import truncate
from common.party import Party

Keep = Callable[[Words, Words], Awaitable[None]]  # of rounded shares of own and of the other's columns


async def _nowhere(own: Words, other: Words) -> None:
    del own, other


async def reveal_weights(
    session: Session,
    correlations: Correlations,
    number: int,
    own: Share,
    other: Share,
    bits: int,
    keep: Keep = _nowhere,
) -> Reals:
    """This party's own weights, whitened, (m_own,), on the grid 2^-bits; the other learns its own and nothing else.

    1. round both blocks to the grid while shared (one truncation: one round), so that no finer bit is opened; up or
       down at random, in proportion: unbiased, so nothing is added before it
    2. send each block's share to its owner (one round): `tell_weights`

    keep: called between the two. Rounded once more, at another threshold, weights would tell more.
    """
    blocks = [own, other] if session.party is Party.GRID else [other, own]
    words = np.concatenate([block.words for block in blocks])
    shift = WEIGHT_SCALE - bits
    if shift:
        words = await truncate(session, await correlations.truncation(number, len(words)), words, shift)
    grid, bank = words[: len(blocks[0])], words[len(blocks[0]) :]
    mine, theirs = (grid, bank) if session.party is Party.GRID else (bank, grid)
    await keep(mine, theirs)
    return await tell_weights(session, mine, theirs, bits)


async def tell_weights(session: Session, own: Words, other: Words, bits: int) -> Reals:
    """This party's own weights, (m_own,), of rounded shares of its own block and of the other's."""
    above = np.uint64(64 - bits - int(JOINT_LIMIT).bit_length())  # bits that no weight has: they are not sent
    other = other << above >> above
    grid, bank = (own, other) if session.party is Party.GRID else (other, own)

    def read(words: Words) -> Reals:
        return decode(((words << above).view(np.int64) >> np.int64(above)).view(np.uint64), bits)

    if session.party is Party.GRID:
        await session.send(Kind.BANK_WEIGHT_SHARE, bank)
        return read(grid + await session.receive(Kind.GRID_WEIGHT_SHARE, np.uint64, grid.shape))
    mine = bank + await session.receive(Kind.BANK_WEIGHT_SHARE, np.uint64, bank.shape)
    await session.send(Kind.GRID_WEIGHT_SHARE, grid)
    return read(mine)

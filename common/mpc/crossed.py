"""Sums over rows of one party's columns times the other's, modulo 2^40, each under a mask of its own. PROTOCOL.md section 6.

A word crosses the line as 5 bytes: of all words the low 32 bits, then the upper 8 of each. Sums are exact: words are taken
apart into two limbs of 20 bits, and float64 adds up products of so many rows as stay below 2^53.
"""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt

from common.mpc.beside import ending, one_ahead
from common.mpc.correlations.asked import MATRIX_BLOCK, Correlations
from common.mpc.fixedpoint import Reals, Words
from common.mpc.prg import Purpose
from common.mpc.session import Kind, Session
from common.mpc.threads import in_order
from common.party import Party

BITS, WIDTH = 40, 5
_LIMB = 20
_LOW = np.uint32((1 << _LIMB) - 1)
_ROWS = 1 << 13  # of products below 2^40, as many as add up to less than 2^53
_BESIDE = 2  # blocks that are multiplied while later ones are sent

Whole = npt.NDArray[np.int32]
Bytes = npt.NDArray[np.uint8]
Halves = npt.NDArray[np.uint32]


@dataclass(frozen=True, repr=False)
class Planes:
    """Words modulo 2^40, (m, n): the low 32 bits of each, and the upper 8."""

    low: Halves
    high: Bytes

    @classmethod
    def of(cls, data: Bytes, shape: tuple[int, int]) -> Planes:
        """Those that these bytes stand for; there may be some behind."""
        size = math.prod(shape)
        return cls(data[: 4 * size].view("<u4").reshape(shape), data[4 * size : WIDTH * size].reshape(shape))

    def limbs(self, rows: slice) -> Reals:
        """Both limbs of some rows, (2 m, n'), all low ones first."""
        low, columns = self.low[:, rows], len(self.low)
        found = np.empty((2 * columns, low.shape[1]))
        found[:columns] = (low & _LOW).view(np.int32)
        found[columns:] = (low >> np.uint32(_LIMB) | self.high[:, rows].astype(np.uint32) << np.uint32(32 - _LIMB)).view(
            np.int32
        )
        return found


def drawn(halves: Callable[[Purpose, int, int], Halves], block: int, shape: tuple[int, int]) -> Planes:
    """The mask of a block of columns, (m, n), of a source of words modulo 2^32."""
    words = halves(Purpose.MATRIX, block, -(-WIDTH * math.prod(shape) // 4))
    return Planes.of(words.view(np.uint8), shape)


def hidden(numbers: Whole, mask: Planes) -> Bytes:
    """Whole numbers less their mask, as they are sent: (5 m n,)."""
    size = numbers.size
    sent = np.empty(WIDTH * size, np.uint8)
    out, words = Planes.of(sent, (numbers.shape[0], numbers.shape[1])), numbers.view(np.uint32)
    np.subtract(words, mask.low, out=out.low)
    np.subtract((numbers >> 31).view(np.uint32).astype(np.uint8), mask.high, out=out.high)
    np.subtract(out.high, (words < mask.low).view(np.uint8), out=out.high)
    return sent


def _slices(rows: int) -> Iterator[slice]:
    return (slice(low, low + _ROWS) for low in range(0, rows, _ROWS))


def by_both(numbers: Whole, mask: Planes, heard: Planes) -> Words:
    """numbers (a, n), and the words of their mask, times words (b, n) transposed, (2, a, b), of which the low 40 bits count.

    numbers: below 2^20 either way.
    """
    a, b = len(numbers), len(heard.low)
    total = np.zeros((2, a, b), np.uint64)
    for rows in _slices(numbers.shape[1]):
        one, two = mask.limbs(rows), heard.limbs(rows)
        first = _whole(numbers[:, rows].astype(np.float64) @ two.T)
        second, third = _whole(one[:a] @ two.T), _whole(one[a:] @ two[:b].T)
        total[0] += first[:, :b] + (first[:, b:] << np.uint64(_LIMB))
        total[1] += second[:, :b] + (second[:, b:] + third << np.uint64(_LIMB))
    return total


def _whole(sums: Reals) -> Words:
    return sums.astype(np.int64).view(np.uint64)


def by_words(left: Planes, right: Planes) -> Words:
    """Words (a, n) times words (b, n) transposed, (a, b), likewise."""
    a, b = len(left.low), len(right.low)
    total = np.zeros((a, b), np.uint64)
    for rows in _slices(left.low.shape[1]):
        one, two = left.limbs(rows), right.limbs(rows)
        low, high = _whole(one[:a] @ two.T), _whole(one[a:] @ two[:b].T)
        total += low[:, :b] + (low[:, b:] + high << np.uint64(_LIMB))
    return total


async def share_crossed(
    session: Session, correlations: Correlations, numbers: Callable[[int], Whole], rows: int, columns: dict[Party, int]
) -> Words:
    """Two shares of the sums over all rows, (2, m_G, m_B), of which the low 40 bits count, each off by `deal_crossed`.

    X_G^T E_B at the grid and E_G^T U_B at the bank, or U_G^T E_B and E_G^T X_B: in one of them a word that changes on the
    way meets a mask, so that the two no longer agree.

    numbers: own columns from a row on, MATRIX_BLOCK rows at most, (m_own, n'), below 2^20 either way. In blocks of so many
    rows, each sent and multiplied once: 5 bytes a number, one round.
    """
    party, lows = session.party, range(0, rows, MATRIX_BLOCK)
    mine, others = columns[party], columns[party.other]

    def masked(low: int) -> tuple[Whole, Planes, Bytes]:
        block = np.ascontiguousarray(numbers(low))
        mask = drawn(correlations.half_mask, low // MATRIX_BLOCK, (mine, block.shape[1]))
        return block, mask, hidden(block, mask)

    def multiplied(block: Whole, mask: Planes, heard: Planes) -> Words:
        found = by_both(block, mask, heard)
        return found if party is Party.GRID else found[::-1].transpose(0, 2, 1)

    begun = (session.begin(partial(masked, low), 4 * mine * min(rows, MATRIX_BLOCK)) for low in lows)
    total, pending = np.zeros([2, *(columns[p] for p in Party)], np.uint64), deque[asyncio.Future[Words]]()
    async with one_ahead(begun) as coming:
        with ending(pending):
            for low in lows:
                block, mask, sent = await coming()
                count = min(rows - low, MATRIX_BLOCK)
                await session.post(Kind.MASKED_MATRIX, sent)
                data = await session.collect(Kind.MASKED_MATRIX, np.uint8, (WIDTH * others * count,))
                heard = Planes.of(data, (others, count))
                pending.append(session.begin(partial(multiplied, block, mask, heard), count * (mine + others)))
                while len(pending) > _BESIDE:
                    total += await pending.popleft()
            while pending:
                total += await pending.popleft()
    return total


def deal_crossed(
    halves: Mapping[Party, Callable[[Purpose, int, int], Halves]], rows: int, columns: dict[Party, int], workers: int = 1
) -> Words:
    """What either pair of shares lacks, (m_G, m_B): mask times mask. workers: blocks worked on at a time."""

    def block(low: int) -> Words:
        count = min(rows - low, MATRIX_BLOCK)
        return by_words(*(drawn(halves[p], low // MATRIX_BLOCK, (columns[p], count)) for p in Party))

    total = np.zeros([columns[p] for p in Party], np.uint64)
    for found in in_order((partial(block, low) for low in range(0, rows, MATRIX_BLOCK)), workers):
        total += found
    return total

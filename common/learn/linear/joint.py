"""Descent along the two sides' correlation, which nobody is told: shares of a matrix that takes it out of the gradient.

Whitening is each party's own; what slows descent is C = X_G^T X_B / n. With N = gain (I + S + ... + S^63), S = C^T C,

    M = [[gain I + C N C^T, -C N], [-N C^T, N]]

is positive, and gain times the inverse of [[I, C], [C^T, I]] but where the correlation is above some 0.98. PROTOCOL.md
section 6.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from common.errors import PolicyError
from common.mpc.chained import Chained, Times, cut, multiplied, triangle
from common.mpc.correlations.asked import MATRIX_BLOCK, Correlations, TruncationPart
from common.mpc.fixedpoint import FACTOR_SCALE, JOINT_SCALE, X_SCALE, Words
from common.mpc.lockstep import Exchanges
from common.mpc.product import Matrices, Rows, backward
from common.mpc.ring128 import Doubles, add, subtract, times, unsigned
from common.mpc.session import Kind
from common.mpc.short import WIDE, WIDTHS
from common.mpc.truncate import opened as told_by
from common.mpc.truncate import shifted
from common.party import Party

T = TypeVar("T")
R = TypeVar("R")

MOST_OPENED = 252 << 20  # bytes of an array: of 2^28 that a line takes ahead, what comes beside it has the rest
DOUBLINGS = 6  # 2^6 terms of the series
CUT_POWER = 2 * FACTOR_SCALE - JOINT_SCALE  # off a product of C and C, to the scale of M
CUT_SERIES, CUT_ACROSS = JOINT_SCALE, FACTOR_SCALE  # off one of its powers, and off one with C
SAMPLE_ROWS = 1 << 17
_SCALES, _SHORT_SCALES = range(1 << 8, 3 << 7), range(1 << 9, 1 << 10)
_CACHE_ROWS = 1 << 12
_FIRST, _GRADIENT, _POINT = 1 << 40, 1 << 41, 1 << 42  # above every step's number, below every scoring's


def setup_number(place: int) -> int:
    """The number of an opening or a truncation before the first step."""
    return _FIRST | place


def begin_number() -> int:
    """The number of what hides shares before the first step, that a dealer may know them."""
    return _FIRST


def point_number(step: int) -> int:
    """The number of the opening of a step's look-ahead."""
    return _POINT | step


def gradient_number(step: int) -> int:
    """The number of the truncation of a step's gradient."""
    return _GRADIENT | step


@dataclass(frozen=True)
class Sample:
    """The rows whose products tell the correlation: every `stride`-th, so that they are of many enterprises.

    rows, columns: of both matrices as they were dealt for. What is known only later, how many rows are data, is in `scale`.
    width: bytes of masked words, of which sums have no more bits that count.
    """

    rows: int
    grid: int
    bank: int
    width: int = WIDE

    @property
    def stride(self) -> int:
        return max(1, self.rows // SAMPLE_ROWS)

    def taken(self, rows: int) -> int:
        """How many of so many rows are taken."""
        return -(-rows // self.stride)

    @property
    def _short(self) -> bool:
        return self.width < WIDTHS[0]

    @property
    def low(self) -> int:
        """Low bits of a factor, all of them zero."""
        return 24 if self._short else 16

    @property
    def shift(self) -> int:
        """From products of columns, times `factor`, to 16 bits of the correlation, of words in 5 bytes to 14 and more."""
        return 46 if self._short else 44

    def _parts(self, taken: int) -> tuple[int, int]:
        """k and s, of 256 and more, of the largest product that is not too large, held back for a sample's error."""
        held = 1.0 if self.stride == 1 else 1.0 - min(0.5, 0.5 * math.sqrt((self.grid + self.bank) / taken))
        whole = 2.0 ** (FACTOR_SCALE - 2 * X_SCALE + self.shift - self.low) * held / taken
        s = max(_SHORT_SCALES if self._short else _SCALES, key=lambda s: s * math.floor(whole / s))
        return math.floor(whole / s), s

    def factor(self, taken: int) -> np.uint64:
        """What turns the sum of products over `taken` rows into almost a mean at scale 60; `scale` has the rest.

        It is a multiple of 2^16, since of sums of words in 6 bytes no bit above the 48th counts, in 5 bytes of 2^24.
        """
        return np.uint64(self._parts(taken)[0] << self.low)

    def scale(self, taken: int, data: int) -> np.uint64:
        """What brings the correlation to 24 bits. taken: as the factor was told; of them `data` are data."""
        return np.uint64(self._parts(taken)[1] * taken // data)

    def blocks(self, rows: int) -> Iterator[tuple[int, int, slice]]:
        """Number and first row of each block of MATRIX_BLOCK of so many rows, and which of its rows are taken."""
        for block, low in enumerate(range(0, rows, MATRIX_BLOCK)):
            yield block, low, slice(-low % self.stride, min(MATRIX_BLOCK, rows - low), self.stride)


def cross(left: Words, right: Words) -> Words:
    """left^T right, (a, b), modulo 2^64, of columns (n, a) and (n, b)."""
    total = np.zeros((left.shape[1], right.shape[1]), np.uint64)
    for low in range(0, len(left), _CACHE_ROWS):
        # rows taken here and there, put together: products of whole columns are what einsum's fast loops are for
        some, others = (np.asfortranarray(side[low : low + _CACHE_ROWS]) for side in (left, right))
        for place, column in enumerate(some.T):
            total[place] += backward(others, column)
    return total


SETUP_ROUNDS = DOUBLINGS + 4
"""Messages one after another before the first step."""
_OPENING = 1  # which of them opens C and the gain, for which nothing is dealt


def setup_openings(grid: int, bank: int) -> list[int]:
    """How many words each message before the first step has: C cut, C and the gain, its products, and the grid's block of M."""
    across = grid * bank
    return [across, 2 * across + 2, *(2 * values for values in _products(grid, bank))]


def setup_dealt(grid: int, bank: int) -> list[int]:
    """How many words each party is dealt for each of them."""
    return [2 * grid * bank, 0, *_products(grid, bank)]


def _products(grid: int, bank: int) -> list[int]:
    """How many values each round of products has."""
    across, square = grid * bank, triangle(bank)
    return [square + across, *[2 * square + across] * (DOUBLINGS - 1), square + across, triangle(grid)]


def check_beside(grid: int, bank: int) -> None:
    """Raises PolicyError for columns of which a line could not take an array of these beside those of a step.

    Both sides would then wait with what they send until the other takes what came before it, which it does after sending.
    """
    if (most := 8 * max(setup_openings(grid, bank))) > MOST_OPENED:
        each = (math.isqrt(1 + MOST_OPENED // 2) - 1) // 4  # 16 bytes of each of m (m + 1) and m^2 values
        raise PolicyError(
            f"the products of {grid} columns of the grid and {bank} of the bank are more than a line takes beside a step",
            expected=f"at most {MOST_OPENED} bytes a message, as of {each} columns of either side",
            got=most,
            remedy="Name fewer columns in the plan, or give those in bins fewer of them.",
        )


def taken_beside(truncations: Iterator[T], spans: Generator[T, None, R]) -> Generator[T, None, R]:
    """What is dealt for these and for the spans of a step beside them, in the order in which both parties take it.

    Of each round what is dealt for it comes first, if anything, then from the second round on that of a span whose u was
    opened in the round before. Returns what `spans` returns.
    """
    for place in range(SETUP_ROUNDS):
        yield from itertools.islice(truncations, int(place != _OPENING))
        if place:
            try:
                yield next(spans)
            except StopIteration as over:
                yield from truncations
                found: R = over.value
                return found
    yield from truncations
    return (yield from spans)


@dataclass(frozen=True, repr=False)
class Operand:
    """A shared array as products take it: `opened` is the array less a mask, the same at both; `mask` a share of that mask."""

    opened: Words
    mask: Words

    @property
    def transposed(self) -> Operand:
        return Operand(self.opened.T, self.mask.T)

    @property
    def negative(self) -> Operand:
        return Operand(-self.opened, -self.mask)


def product(party: Party, a: Operand, b: Operand) -> Words:
    """A share of A B; both sum to it less mask times mask, which the dealer knows."""
    found: Words = a.opened @ b.mask + a.mask @ b.opened
    return found + a.opened @ b.opened if party is Party.BANK else found


def times_cut(
    party: Party, m: Operand, part: TruncationPart, tops: Sequence[Words], c: Words, shift: int
) -> tuple[Words, Words]:
    """Shares of what a truncation that opened c leaves, g, and of M g, which lacks M's mask times the body.

    g is public + sign * top - body, of which M's mask times the first is local and times the last the dealer's.
    tops: shares of each column of M's mask times the top bit in its place, m arrays (m,). No message.
    """
    public, sign = told_by(c, shift)
    g = shifted(party, part, c, shift)
    found: Words = m.opened @ g + m.mask @ public + sign @ np.stack(tops)
    return g, found


async def opened(session: Exchanges, correlations: Correlations, number: int, *shares: Words) -> list[Operand]:
    """The operands of shared arrays: each less its mask is opened, in one round of 8 bytes a value."""
    flat = np.concatenate([share.ravel() for share in shares])
    mask = correlations.operand_mask(number, len(flat))
    mine = flat - mask
    return split(mine + await session.exchange(Kind.MASKED_OPERAND, mine), mask, shares)


def split(both: Words, mask: Words, shares: Sequence[Words]) -> list[Operand]:
    """What was opened, and what hid it, by the arrays of which it was."""
    found, at = [], 0
    for share in shares:
        part = slice(at, at + share.size)
        found.append(Operand(both[part].reshape(share.shape), mask[part].reshape(share.shape)))
        at += share.size
    return found


def block_matrix(grid: Words, across: Words, bank: Words) -> Words:
    """[[grid, -across], [-across^T, bank]]."""
    return np.block([[grid, -across], [-across.T, bank]])


async def joint_matrix(
    session: Exchanges, correlations: Correlations, matrices: Matrices, data_rows: int, gain: Words
) -> Operand:
    """M as an operand, (m, m) at JOINT_SCALE, the grid's columns first.

    gain: a word at JOINT_SCALE at the bank, zero at the grid. data_rows: rows that are not zeros.
    """
    rows, own = matrices.own.shape
    other = matrices.masked.shape[1]
    grid, bank = (own, other) if session.party is Party.GRID else (other, own)
    sample = Sample(rows, grid, bank, matrices.width)

    def multiplied() -> Words:
        return correlation(session.party, correlations, matrices, sample) * sample.factor(sample.taken(rows))

    raw = await session.compute(multiplied, rows * own)
    scale = sample.scale(sample.taken(rows), sample.taken(data_rows))
    return await joint_of(session, correlations, raw, sample.shift, scale, gain)


async def joint_of(
    session: Exchanges, correlations: Correlations, raw: Words, shift: int, scale: np.uint64, gain: Words
) -> Operand:
    """The same from shares of C.

    raw: this party's share of the mean product of columns, (m_G, m_B), times `Sample.factor`, off by what the dealer knows.
    shift, scale: of the sample.
    """
    mean = times(await cut(session, correlations, setup_number(0), raw.ravel(), shift), scale).reshape(*raw.shape, 2)
    (c, gained), _ = await opened_beside(session, correlations, setup_number(_OPENING), mean, gain)
    return await joint_by(session, correlations, c, gained, _OPENING + 1)


async def opened_beside(
    session: Exchanges, correlations: Correlations, number: int, c: Doubles, gain: Words, *shares: Words
) -> tuple[tuple[Chained, Chained], list[Operand]]:
    """C, (m_G, m_B), and the gain, (1, 1), as what is multiplied to M, and other shared arrays as operands, in one round.

    gain: the bank's, a word; the grid's share of it is zero.
    """
    wide = np.concatenate([c.reshape(-1, 2), unsigned(np.reshape(gain, 1))])
    flat = np.concatenate([share.ravel() for share in shares]) if shares else np.zeros(0, np.uint64)
    mask = correlations.operand_mask(number, wide.size + flat.size)
    hides, covers = mask[: wide.size].reshape(-1, 2), mask[wide.size :]
    mine = np.concatenate([subtract(wide, hides).ravel(), flat - covers])
    theirs = await session.exchange(Kind.MASKED_OPERAND, mine)
    both = add(mine[: wide.size].reshape(-1, 2), theirs[: wide.size].reshape(-1, 2)), mine[wide.size :] + theirs[wide.size :]
    chained = tuple(zip(shaped(both[0], *c.shape[:2]), shaped(hides, *c.shape[:2]), strict=True))
    return (Chained(chained[0]), Chained(chained[1])), split(both[1], covers, shares)


def shaped(values: Doubles, grid: int, bank: int) -> tuple[Doubles, Doubles]:
    """C, (m_G, m_B, 2), and the gain, (1, 1, 2), of what stands for both."""
    return values[:-1].reshape(grid, bank, 2), values[-1:].reshape(1, 1, 2)


async def joint_by(session: Exchanges, correlations: Correlations, c: Chained, gain: Chained, place: int) -> Operand:
    """The same from C, (m_G, m_B) at FACTOR_SCALE, and the gain. place: of the first round of those before the first step."""
    rounds = products_of(c, gain)
    wanted = next(rounds)
    while True:
        found = await multiplied(session, correlations, setup_number(place), wanted)
        try:
            wanted = rounds.send(found)
        except StopIteration as over:
            return Operand(*over.value)
        place += 1


def products_of(c: Chained, gain: Chained) -> Generator[list[Times], list[Chained], tuple[Words, ...]]:
    """The products that make M of C, a round's at a time: at a party what was opened and its share of the mask; the mask.

    Returns the parts of M modulo 2^64, (m, m). Q = C N is summed beside N, which saves a round.
    """
    grid, bank = c.parts[0].shape[:2]
    n = gain.times_unit(bank)
    power, q = yield [Times(c.transposed, c, CUT_POWER, symmetric=True), Times(c, n, CUT_ACROSS)]
    for doubling in range(DOUBLINGS):
        wanted = [Times(n, power, CUT_SERIES, symmetric=True), Times(q, power, CUT_SERIES)]
        if doubling < DOUBLINGS - 1:
            wanted.append(Times(power, power, CUT_SERIES, symmetric=True))
        done = yield wanted
        n, q, power = n + done[0], q + done[1], done[-1]
    (pulled,) = yield [Times(q, c.transposed, CUT_ACROSS, symmetric=True)]
    whole = pulled + gain.times_unit(grid)
    return tuple(block_matrix(*blocks) for blocks in zip(whole.words, q.words, n.words, strict=True))


def correlation(party: Party, correlations: Correlations, matrices: Matrices, sample: Sample) -> Words:
    """A share of X_G^T X_B over the sample's rows, (m_G, m_B), off by the product of both masks."""
    own, other = matrices.own.shape[1], matrices.masked.shape[1]
    grid, bank = (own, other) if party is Party.GRID else (other, own)
    total, hidden = np.zeros((grid, bank), np.uint64), bank - matrices.ones
    for block, low, rows in sample.blocks(matrices.own.shape[0]):
        whole = slice(low, low + rows.stop)
        theirs = matrices.masked[whole][rows]
        if party is Party.GRID:
            total += cross(_words(matrices.own[whole][rows]), theirs)
        else:
            total[:, :hidden] += cross(theirs, correlations.matrix_mask(block, rows.stop, hidden).T[rows])
    return total


def _words(rows: Rows) -> Words:
    return np.asarray(rows).astype(np.int64).view(np.uint64)

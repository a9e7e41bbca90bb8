"""Descent along the two sides' correlation, which nobody is told: shares of a matrix that takes it out of the gradient.

Whitening is each party's own; what slows descent is C = X_G^T X_B / n. With N = gain (I + S + ... + S^63), S = C^T C,

    M = [[gain I + C N C^T, -C N], [-N C^T, N]]

is positive, and gain times the inverse of [[I, C], [C^T, I]] but where the correlation is above some 0.98. PROTOCOL.md
section 6.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Awaitable, Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from common.errors import PolicyError
from common.mpc.correlations.asked import MATRIX_BLOCK, Correlations, TruncationPart
from common.mpc.fixedpoint import FACTOR_SCALE, JOINT_SCALE, X_SCALE, Words
from common.mpc.lockstep import Exchanges
from common.mpc.product import Matrices, Rows, backward
from common.mpc.session import Kind
from common.mpc.short import WIDE, WIDTHS
from common.mpc.truncate import opened as told_by
from common.mpc.truncate import shifted, truncate
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


def setup_truncations(grid: int, bank: int) -> list[int]:
    """How many values each truncation before the first step has: of C, S, each doubling, C N and C N C^T."""
    square = bank * bank
    return [grid * bank, square, *[2 * square] * (DOUBLINGS - 1), square, grid * bank, grid * grid]


def setup_openings(grid: int, bank: int) -> list[int]:
    """How many values each opening before the first step has: C, N and S of each doubling, N, C N, the grid's block of M."""
    square = bank * bank
    return [grid * bank, *[2 * square] * DOUBLINGS, square, grid * bank, grid * grid]


def check_beside(grid: int, bank: int) -> None:
    """Raises PolicyError for columns of which a line could not take an array of these beside those of a step.

    Both sides would then wait with what they send until the other takes what came before it, which it does after sending.
    """
    if 8 * max(setup_openings(grid, bank)) > MOST_OPENED:
        most = math.isqrt(MOST_OPENED // 8), math.isqrt(MOST_OPENED // 16)
        raise PolicyError(
            "the products of so many columns are more than a line takes beside a step",
            expected=f"at most {most[0]} columns of the grid and {most[1]} of the bank",
            got=f"{grid} and {bank}",
            remedy="Name fewer columns in the plan, or give those in bins fewer of them.",
        )


SETUP_ROUNDS = 2 * DOUBLINGS + 8
"""Messages one after another before the first step: those truncations and openings, every other one a truncation."""


def taken_beside(truncations: Iterator[T], spans: Generator[T, None, R]) -> Generator[T, None, R]:
    """What is dealt for these and for the spans of a step beside them, in the order in which both parties take it.

    Of each round a truncation's comes first, if it is one, then from the second round on that of a span whose u was opened in
    the round before. Returns what `spans` returns.
    """
    for place in range(SETUP_ROUNDS):
        yield from itertools.islice(truncations, 1 - place % 2)
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
    both = mine + await session.exchange(Kind.MASKED_OPERAND, mine)
    found, at = [], 0
    for share in shares:
        part = slice(at, at + share.size)
        found.append(Operand(both[part].reshape(share.shape), mask[part].reshape(share.shape)))
        at += share.size
    return found


Cut = Callable[[Words, int], Awaitable[Words]]
"""Of shared values and a number of bits: shares of the values without so many of their low bits."""


def cutting(session: Exchanges, correlations: Correlations) -> Cut:
    """The truncations before the first step, numbered as they are asked for."""
    places = itertools.count()

    async def cut(words: Words, shift: int) -> Words:
        part = await correlations.truncation(setup_number(next(places)), words.size)
        return (await truncate(session, part, words.ravel(), shift)).reshape(words.shape)

    return cut


def block_matrix(grid: Words, across: Words, bank: Words) -> Words:
    """[[grid, -across], [-across^T, bank]]."""
    return np.block([[grid, -across], [-across.T, bank]])


async def joint_matrix(
    session: Exchanges, correlations: Correlations, matrices: Matrices, data_rows: int, gain: Words
) -> Operand:
    """M as an operand, (m, m) at JOINT_SCALE, the grid's columns first.

    gain: this party's share of it, a word at JOINT_SCALE; the bank's alone, say. data_rows: rows that are not zeros.
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
    cut = cutting(session, correlations)
    (c,) = await opened(session, correlations, setup_number(0), await cut(raw, shift) * scale)
    return await joint_by(session, correlations, c, gain, cut)


async def joint_by(session: Exchanges, correlations: Correlations, c: Operand, gain: Words, cut: Cut) -> Operand:
    """The same from C, (m_G, m_B) at FACTOR_SCALE, which the opening before those here opened less its mask."""
    grid, bank = c.opened.shape
    openings = itertools.count(1)

    async def open_(*shares: Words) -> list[Operand]:
        return await opened(session, correlations, setup_number(next(openings)), *shares)

    power = await cut(product(session.party, c.transposed, c), CUT_POWER)
    series: Words = np.eye(bank, dtype=np.uint64) * gain
    for doubling in range(DOUBLINGS):
        n, s = await open_(series, power)
        more = [product(session.party, n, s)]
        if doubling < DOUBLINGS - 1:
            more.append(product(session.party, s, s))
        done = await cut(np.stack(more), CUT_SERIES)
        series, power = series + done[0], done[-1]
    (n,) = await open_(series)
    (q,) = await open_(await cut(product(session.party, c, n), CUT_ACROSS))
    pulled = await cut(product(session.party, q, c.transposed), CUT_ACROSS)
    (g,) = await open_(pulled + np.eye(grid, dtype=np.uint64) * gain)
    return Operand(block_matrix(g.opened, q.opened, n.opened), block_matrix(g.mask, q.mask, n.mask))


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

"""The gradient of the quadratic loss that `taylor` has, from shares of its Hessian, with no dealer. PROTOCOL.md section 21.

With u / 4 + 1/2 for the link the gradient at z is H z - g, H = X^T X / 4n + ridge, g = X^T (y - 1/2) / n: rows are needed once.
X_G^T (X_B, y) is had as `turned` has it, under masks of the party with fewer columns; the rest of H is each party's own. Then
each holds a share of step H, masks it as `rows` has it, and a step multiplies both masked shares by shares of z.

With a wrong H steps come to rest as well. So the columns' signed sum is masked beside them: its products are their sums.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from common.learn.linear.path import Blocks, Step
from common.learn.linear.undealt import COLUMNS_AT_ONCE, VECTOR_BITS, rounded
from common.mpc.arrived import Rest, check_arrived, combinations, signs
from common.mpc.correlations.asked import MATRIX_BLOCK
from common.mpc.fixedpoint import (
    MOMENTUM_SCALE,
    RIDGE_SCALE,
    UNDEALT_SCALE,
    WEIGHT_SCALE,
    X_LIMIT,
    X_SCALE,
    Reals,
    Words,
    as_words,
    decode,
    encode,
)
from common.mpc.lattice.carries import Carries
from common.mpc.lattice.ring import DEGREE
from common.mpc.lattice.ring96 import WORDS, Long, flat, stacked
from common.mpc.lattice.rows import HeldRows, OwnRows
from common.mpc.lattice.sampled import Public, Sampler
from common.mpc.lattice.turned import HeldColumns, LongRows, OwnColumns
from common.mpc.product import Rows, in_memory
from common.mpc.session import Kind, Session
from common.party import Party

MEAN_SCALE = 60  # of mean products as they are first shared, below 4
HESSIAN_SCALE = 13
POINT_SCALE = 14  # of the look-ahead where it multiplies the Hessian
_LIFT = 64 - VECTOR_BITS
_TURNED_BITS = 24  # by which rows are lifted that the other's columns multiply, so that these stand at 2^16 times step / 4n
_SUM_BITS = _TURNED_BITS - (MEAN_SCALE - UNDEALT_SCALE)  # of the sum, so that a wrong shift is half the ring there
_LABEL = 4 << X_SCALE  # a label's difference of 1, as a column: the Hessian has X^T X / 4
_CACHE_ROWS = 1 << 13

Room = Callable[[tuple[int, int]], Rows]


@dataclass(frozen=True, repr=False)
class Inputs:
    """One party's rows (n, m_own) at X_SCALE, its ridge times the step at RIDGE_SCALE, and the labels (n,), at the bank."""

    own: Rows
    own_ridge: Words
    other_columns: int
    label: Reals | None
    size: float  # of a step

    @property
    def rows(self) -> int:
        return self.own.shape[0]

    def columns(self, party: Party) -> dict[Party, int]:
        """How many each has, with the label among the bank's."""
        label = {Party.GRID: 0, Party.BANK: 1}
        return {
            party: self.own.shape[1] + label[party],
            party.other: self.other_columns + label[party.other],
        }

    def block(self, low: int, at: slice = slice(None)) -> Words:
        """Rows from `low` on, MATRIX_BLOCK at most, (m, n'), as words, with the label less 1/2 as the last column; of some."""
        part = self.own[low : min(self.rows, low + MATRIX_BLOCK)].T[at].astype(np.int64)
        if self.label is not None and (at.stop is None or at.stop > self.own.shape[1]):
            centred = np.rint((self.label[low : low + part.shape[1]] - 0.5) * _LABEL).astype(np.int64)
            part = np.vstack([part, centred])
        return as_words(part)

    @property
    def factor(self) -> float:
        """What turns columns into numbers that multiply the other's."""
        return self.size / 4 / self.rows * 2.0 ** (MEAN_SCALE - _TURNED_BITS - 2 * X_SCALE)

    @property
    def bits(self) -> int:
        """Of these numbers, at most."""
        return math.ceil(math.log2(2.0 * X_LIMIT * 2.0**X_SCALE * self.factor + 2.0))

    def moments(self) -> Reals:
        """Own mean products times step / 4, (m, m), of the label too."""
        columns = self.own.shape[1] + (self.label is not None)
        total = np.zeros((columns, columns))
        for low in range(0, self.rows, MATRIX_BLOCK):
            block = self.block(low).view(np.int64)
            for first in range(0, block.shape[1], _CACHE_ROWS):
                part = block[:, first : first + _CACHE_ROWS].astype(np.float64)
                total += part @ part.T
        return total * (self.size / 4 / self.rows * 2.0 ** (-2 * X_SCALE))


def crossings(columns: dict[Party, int]) -> int:
    """How many mean products of the grid's columns and the bank's, and the label, are shared: as many shifts."""
    return columns[Party.GRID] * columns[Party.BANK]


def masks_rows(party: Party, columns: dict[Party, int]) -> bool:
    """Whether this party masks its rows and the other sends its columns: who has fewer, the grid of as many."""
    own, other = columns[party], columns[party.other]
    return own < other or (own == other and party is Party.GRID)


def likeness(masked: int, sent: int) -> Rest:
    """How large combinations are of what sums of shares and the sum's own differ by, of so many columns masked and sent.

    By floods and the rounding of shares; that of columns is the same in both.
    """
    bits = math.floor(-math.log2(math.sqrt(sent * (masked * 2.0**-27 + 2.0**-26))))
    return Rest(8.0 * 2.0**-bits, 128.0 * 2.0**-bits, bits, "again", dealt=False)


class Quadratic:
    """Shares of step H and step g, and what multiplies the former; made by `share_quadratic`."""

    update_scale = UNDEALT_SCALE

    def __init__(self, session: Session, hessian: Words, gradient: Words, own: OwnRows, held: HeldRows, columns: int) -> None:
        """hessian: (m, m) modulo 2^32 at HESSIAN_SCALE; gradient: (m,) at UNDEALT_SCALE; columns: this party's own."""
        self._session, self._hessian, self._gradient, self._columns = session, hessian, gradient, columns
        self._own, self._held = own, held

    async def pull(self, step: Step, ahead: Blocks) -> Blocks:
        """Shares of step (H z - g) at the shared look-ahead z. One round of 12 N bytes each way."""
        del step  # each is over all rows
        party = self._session.party
        point = rounded(ahead.joined(party), WEIGHT_SCALE + MOMENTUM_SCALE - POINT_SCALE, VECTOR_BITS)
        c, once = self._held.hidden(point)
        (heard,) = stacked(await self._session.exchange(Kind.LATTICE_WEIGHTS, flat(c)))
        found = ((self._hessian @ point) << np.uint64(_LIFT)) - self._gradient
        found += self._held.share(point, once, len(point)) + self._own.share(heard, len(point))
        return ahead.split(party, found)


async def share_quadratic(
    session: Session,
    sampler: Sampler,
    public: dict[Party, Public],
    carries: Carries,
    inputs: Inputs,
    coin: bytes,
    room: Room = in_memory,
) -> Quadratic:
    """Each party's shares, under keys that serve this training alone; public: the polynomials of both parties' matrices.

    From the party with fewer columns 12 (m + 1) (n + N) bytes, from the other 12 N a column; then 12 N + 8 m^2 each way for
    m in all. Raises PeerProtocolError at the bank where a message was wrong before these. coin: of both parties.
    """
    party = session.party
    columns = inputs.columns(party)
    masker = party if masks_rows(party, columns) else party.other
    drawn = signs(b"columns" + coin, columns[masker])
    factors = np.where(drawn, np.int64(1), np.int64(-1)).view(np.uint64)
    across, added = await _across(session, sampler, public, inputs, factors, room)  # (grid, bank and label) at MEAN_SCALE
    grid, bank = across.shape[0], across.shape[1] - 1
    by = np.full(across.shape, MEAN_SCALE - HESSIAN_SCALE, np.uint64)
    by[:, bank] = MEAN_SCALE - UNDEALT_SCALE
    cut = (await carries.shift(across.ravel(), by.ravel())).reshape(across.shape)

    lift = np.full(bank + 1, UNDEALT_SCALE - HESSIAN_SCALE, np.uint64)
    lift[bank] = 0
    lifted = cut << lift
    differ = (factors @ lifted if masker is Party.GRID else lifted @ factors) - added
    alike = likeness(columns[masker], columns[masker.other])
    like = await check_arrived(session, combinations(differ, b"alike" + coin), UNDEALT_SCALE, alike)
    session.settled = session.settled and like

    own = await session.compute(inputs.moments, inputs.rows * columns[party])
    count = inputs.own.shape[1]
    place = slice(0, grid) if party is Party.GRID else slice(grid, None)
    square = own[:count, :count] + decode(inputs.own_ridge, RIDGE_SCALE)
    hessian = np.zeros((grid + bank, grid + bank), np.uint64)
    hessian[:grid, grid:] = cut[:, :bank]
    hessian[grid:, :grid] = cut[:, :bank].T
    hessian[place, place] = encode(square, HESSIAN_SCALE)
    gradient = np.zeros(grid + bank, np.uint64)
    gradient[:grid] = cut[:, bank]
    if party is Party.BANK:
        gradient[grid:] = encode(own[count, :count], UNDEALT_SCALE)

    mine = OwnRows(sampler, public[party], grid + bank, VECTOR_BITS)
    zero, hidden = mine.masked(hessian << np.uint64(_LIFT))  # it is its own transpose
    zero = stacked(await session.exchange(Kind.LATTICE_MATRIX, flat(zero)))
    masked = await session.exchange(Kind.LATTICE_MATRIX, hidden)
    held = HeldRows(sampler, public[party.other], zero, np.asfortranarray(masked.T))
    return Quadratic(session, hessian, gradient, mine, held, count)


async def _across(
    session: Session, sampler: Sampler, public: dict[Party, Public], inputs: Inputs, factors: Words, room: Room
) -> tuple[Words, Words]:
    """A share of X_G^T (X_B, 4 y - 2) times step / 4n, (m_G, m_B + 1) at MEAN_SCALE, and of the sums of its products.

    factors: 1 or -1 for each column of the party that masks. The sums, (m,) of the other's columns, are at UNDEALT_SCALE.
    """
    party, rows = session.party, inputs.rows
    columns = inputs.columns(party)
    lows = range(0, rows, MATRIX_BLOCK)
    if masks_rows(party, columns):
        own = OwnColumns(sampler, public[party], columns[party] + 1)
        await session.post(Kind.LATTICE_MATRIX, flat(own.zeros()))
        for low in lows:

            def mask(low: int = low) -> Long:
                block = inputs.block(low)
                summed = np.einsum("i,ij->j", factors, block) << np.uint64(_SUM_BITS)
                return own.masked(np.vstack([block << np.uint64(_TURNED_BITS), summed]))

            await session.post(Kind.LATTICE_MATRIX, await session.compute(mask, 8 * columns[party] * min(rows, MATRIX_BLOCK)))
        parts = []
        for low in range(0, columns[party.other], COLUMNS_AT_ONCE):
            some = min(COLUMNS_AT_ONCE, columns[party.other] - low)
            heard = await session.receive(Kind.LATTICE_COLUMNS, np.uint32, (some * WORDS, DEGREE))
            parts.append(own.share(stacked(heard), rows, inputs.bits))
        found = np.concatenate(parts)  # (the other's columns, this party's and their sum)
        return _turned(found, party is Party.GRID)
    count = columns[party.other] + 1
    zeros = stacked(await session.collect(Kind.LATTICE_MATRIX, np.uint32, (count * WORDS, DEGREE)))
    turned = LongRows(rows, count, room)
    for low in lows:
        size = min(rows - low, MATRIX_BLOCK)
        turned.put(low, await session.collect(Kind.LATTICE_MATRIX, np.uint32, (count * WORDS, size)))
    held, shares = HeldColumns(sampler, public[party.other], zeros, turned), []
    for first in range(0, columns[party], COLUMNS_AT_ONCE):
        at = slice(first, min(first + COLUMNS_AT_ONCE, columns[party]))

        def work(at: slice = at) -> tuple[Long, Words]:
            few = np.concatenate([_dithered(sampler, inputs.block(low, at), inputs) for low in lows], axis=1)
            c, once = held.hidden(few)
            return c, held.share(few, once, inputs.bits)

        c, share = await session.compute(work, (at.stop - at.start) * rows * count)
        await session.send(Kind.LATTICE_COLUMNS, flat(c))
        shares.append(share)
    return _turned(np.concatenate(shares), party is Party.BANK)


def _turned(products: Words, by_bank: bool) -> tuple[Words, Words]:
    """Products (k, m + 1) of columns that were sent and masked, with the grid's first, and those of the sum. by_bank: sent."""
    found, added = products[:, :-1], products[:, -1]
    return np.ascontiguousarray(found.T if by_bank else found), added


def _dithered(sampler: Sampler, block: Words, inputs: Inputs) -> Words:
    """A block's values times step / 4n as they multiply the other's, up or down at random in proportion: (m, n') whole numbers.

    The nearest would be off alike in all rows of a column that has few values.
    """
    scaled = block.view(np.int64) * inputs.factor + sampler.fractions(*block.shape)
    return as_words(np.floor(scaled))

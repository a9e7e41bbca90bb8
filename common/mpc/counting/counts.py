"""How many rows of each bin of the grid's columns the bank labels 1; the grid learns counts that are large enough, no other.

The bank learns nothing but how many bins there are: every message to it is uniform. PROTOCOL.md section 13.
"""

from __future__ import annotations

from functools import partial

import numpy as np
import numpy.typing as npt

from common.errors import LocalProtocolError, PeerProtocolError, RangeError
from common.mpc import field
from common.mpc.correlations.asked import Correlations
from common.mpc.counting.masks import MAX_BINS, Counting, CountsDemand
from common.mpc.field import Elements, P
from common.mpc.session import Kind, Session

Codes = npt.NDArray[np.int16]
Counts = npt.NDArray[np.int64]


class BinCounts:
    """Shares modulo P of the number of rows labelled 1 in each bin, (bins,); `small` as often as ordered, then `open` once."""

    def __init__(self, session: Session, counting: Counting, share: Elements) -> None:
        self._session, self._counting, self._share, self._k = session, counting, share, 0

    @property
    def tests(self) -> int:
        """How many `small` must come before `open`."""
        return self._counting.demand.rounds

    @classmethod
    async def share(
        cls,
        session: Session,
        correlations: Correlations,
        demand: CountsDemand,
        codes: Codes | None,
        label: npt.NDArray[np.float64] | None,
    ) -> BinCounts:
        """One round: 4 n bins bytes from the grid, 4 n from the bank, in blocks of rows.

        codes: at the grid, (columns, n): the bin of each row in each column, numbered through all columns.
        label: at the bank, (n,) of 0.0 and 1.0. Raises RangeError for more bins or rows than can be counted.

        1. the grid sends E = I - U of its indicators I, the bank w = y - v
        2. I^T w + z at the grid, E^T v + z' at the bank, z + z' = U^T v dealt: they sum to I^T y
        """
        if not demand.fits:
            raise RangeError("too many bins or rows to count", expected=f"at most {MAX_BINS} bins", got=demand)
        counting = await correlations.bin_counts(demand)
        total = await counting.offset(0)
        for block, part in enumerate(demand.blocks()):
            size = demand.bins * (part.stop - part.start)
            mine = None if codes is None else codes[:, part]
            own = None if label is None else label[part].astype(np.uint32)
            masked = await session.compute(partial(_masked, counting, block, part, mine, own), size)
            shape: tuple[int, ...] = (part.stop - part.start,) if mine is not None else (demand.bins, part.stop - part.start)
            theirs = _checked(await session.exchange(Kind.MASKED_BINS, masked, shape=shape))
            total = field.add(total, await session.compute(partial(_pulled, counting, block, mine, theirs), size))
        return cls(session, counting, total)

    async def small(self, groups: Elements | None, rows: Counts | None) -> npt.NDArray[np.bool_] | None:
        """At the grid whether each group has fewer than `least` rows of either class, (bins,); three rounds, None at the bank.

        groups: at the grid, (bins, bins): ones where bin j (column) is in group i (row); empty rows for no group.
        rows: at the grid, rows of each group.

        1. shares of c, and of b = rows - c, by `_regrouped`
        2. both open c - a and b - a'; c (c-1) .. (c-least+1) times the same of b is then a polynomial in a and a', whose
           monomials times a random factor, never zero, are dealt in shares
        3. the bank sends its share of that product to the grid: zero if c or b is small, else uniform
        """
        if self._k >= self.tests:
            raise LocalProtocolError("more tests of bins than were ordered", expected=self.tests, got=self._k + 1)
        self._k += 1
        ones = await self._regrouped(groups)
        zeros = field.subtract(np.zeros_like(ones) if rows is None else (rows % P).astype(np.uint32), ones)
        masked = field.subtract(np.stack([ones, zeros]), self._counting.masks.angle(self._k))
        opened = field.add(masked, _checked(await self._session.exchange(Kind.MASKED_COUNTS, masked)))
        product = _evaluate(await self._counting.tables(self._k), opened, self._counting.demand.least)
        if groups is None:
            await self._session.send(Kind.BIN_TESTS, product)
            return None
        theirs = _checked(await self._session.receive(Kind.BIN_TESTS, np.uint32, product.shape))
        small: npt.NDArray[np.bool_] = field.add(product, theirs) == 0
        return small

    async def open(self, groups: Elements | None) -> Counts | None:
        """The number of rows labelled 1 in each group, to the grid; two rounds. Groups must have been tested by `small`."""
        if self._k != self.tests:
            raise LocalProtocolError("counts are opened once, after their tests", expected=self.tests, got=self._k)
        self._k += 1
        ones = await self._regrouped(groups)
        if groups is None:
            await self._session.send(Kind.BIN_COUNTS, ones)
            return None
        theirs = _checked(await self._session.receive(Kind.BIN_COUNTS, np.uint32, ones.shape))
        return field.add(ones, theirs).astype(np.int64)

    async def _regrouped(self, groups: Elements | None) -> Elements:
        """Shares of G c, G known to the grid, without the bank learning G; one round, 4 bins^2 bytes from the grid.

        1. the grid sends E = G - U, the bank w = s - v, s its share of c
        2. G (grid's share + w) + z at the grid, E v + z' at the bank, z + z' = U v dealt
        """
        masks, bins = self._counting.masks, self._counting.demand.bins
        offset = await self._counting.offset(self._k)
        if groups is not None:
            masked = field.subtract(groups, masks.groups(self._k))
            theirs = _checked(await self._session.exchange(Kind.MASKED_BINS, masked, shape=(bins,)))
            return field.add(offset, field.apply(groups, field.add(self._share, theirs)))
        mask = masks.counts(self._k)
        hidden = field.subtract(self._share, mask)
        theirs = _checked(await self._session.exchange(Kind.MASKED_BINS, hidden, shape=(bins, bins)))
        return field.add(offset, field.apply(theirs, mask))


def _masked(counting: Counting, block: int, part: slice, codes: Codes | None, label: Elements | None) -> Elements:
    rows = part.stop - part.start
    if label is not None:
        return field.subtract(label, counting.masks.labels(block, rows))
    if codes is None:
        raise LocalProtocolError("the grid counts with its bins, the bank with its label")
    indicators = np.zeros((counting.demand.bins, rows), np.uint32)
    indicators[codes, np.arange(rows)] = 1
    return field.subtract(indicators, counting.masks.indicators(block, rows))


def _pulled(counting: Counting, block: int, codes: Codes | None, theirs: Elements) -> Elements:
    """I^T w at the grid, E^T v at the bank, of one block."""
    if codes is None:
        return field.apply(theirs, counting.masks.labels(block, theirs.shape[1]))
    weights = np.broadcast_to(theirs.astype(np.float64), codes.shape).ravel()
    sums = np.bincount(codes.ravel(), weights, counting.demand.bins)  # exact: below 2^47
    return field.reduced(np.asarray(sums, np.uint64))


def _evaluate(tables: Elements, opened: Elements, least: int) -> Elements:
    """A share of factor * f(c + a) f(b + a'), f(x) = x (x-1) .. (x-least+1), from shares of factor * a^i * a'^j."""
    first, second = (_expanded(c, least) for c in opened)
    total: Elements = np.zeros(opened.shape[1], np.uint32)
    for i, x in enumerate(first):
        for j, y in enumerate(second):
            total = field.add(total, field.multiply(field.multiply(x, y), tables[i * (least + 1) + j]))
    return total


def _expanded(c: Elements, least: int) -> list[Elements]:
    """Coefficients in a of (c + a) (c + a - 1) .. (c + a - least + 1), lowest first."""
    out = [np.ones_like(c)]
    for root in range(least):
        constant, zero = field.subtract(c, np.full_like(c, root)), np.zeros_like(c)
        scaled = [*(field.multiply(x, constant) for x in out), zero]
        out = [field.add(x, y) for x, y in zip(scaled, [zero, *out], strict=True)]
    return out


def _checked(values: Elements) -> Elements:
    """The other party's array, once each word is found to be an element of the field."""
    if values.size and values.max() >= P:
        raise PeerProtocolError("the other party sent a number that is no element of the field", expected=f"below {P}")
    return values

"""The randomness that counting labels by bin consumes: what a party expands, what the bank is dealt. PROTOCOL.md section 13."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass

import numpy as np

from common.mpc.field import Elements, P, elements
from common.mpc.prg import Prg, Purpose
from common.party import Party

_CELLS = 1 << 22  # of the masked indicators, in one message
MAX_BINS, MAX_LEAST, MAX_ROUNDS = 4096, 20, 16


@dataclass(frozen=True)
class CountsDemand:
    """Asks the dealer for the counting of labels in `bins` bins over `rows` rows: `rounds` tests for counts below `least`."""

    rows: int
    bins: int
    least: int
    rounds: int

    @property
    def fits(self) -> bool:
        """Whether the numbers are ones that are counted with."""
        return 0 < self.bins <= MAX_BINS and 0 < self.rows < P and 0 < self.least <= MAX_LEAST and 0 < self.rounds <= MAX_ROUNDS

    def blocks(self) -> Iterator[slice]:
        """The rows of each message of masked indicators."""
        step = min(1 << 16, _CELLS // self.bins)
        for low in range(0, self.rows, step):
            yield slice(low, min(self.rows, low + step))


@dataclass(frozen=True, repr=False)
class CountMasks:
    """All that one seed gives. `k` numbers the regroupings: 1 to `rounds` are tested, rounds + 1 is opened."""

    prg: Prg
    demand: CountsDemand

    def indicators(self, block: int, rows: int) -> Elements:
        """The grid's U of one block of rows, (bins, rows)."""
        return self._expand(Purpose.BIN_MATRIX, block, self.demand.bins, rows)

    def labels(self, block: int, rows: int) -> Elements:
        """The bank's v of one block of rows, (rows,)."""
        return elements(self.prg, Purpose.BIN_LABELS, block, rows)

    def groups(self, k: int) -> Elements:
        """The grid's mask of a regrouping, (bins, bins)."""
        return self._expand(Purpose.GROUP_MATRIX, k, self.demand.bins, self.demand.bins)

    def counts(self, k: int) -> Elements:
        """The bank's mask of its share of the counts, (bins,)."""
        return elements(self.prg, Purpose.GROUP_COUNTS, k, self.demand.bins)

    def offset(self, k: int) -> Elements:
        """The grid's share of mask times mask, (bins,); k = 0 for the indicators."""
        return elements(self.prg, Purpose.GROUP_OFFSET, k, self.demand.bins)

    def angle(self, k: int) -> Elements:
        """A party's half of the masks of both classes' counts, (2, bins)."""
        return self._expand(Purpose.COUNT_MASK, k, 2, self.demand.bins)

    def tables(self, k: int) -> Elements:
        """The grid's share of factor * a^i * b^j, i and j up to `least`, ((least + 1)^2, bins)."""
        return self._expand(Purpose.COUNT_TABLES, k, (self.demand.least + 1) ** 2, self.demand.bins)

    def factor(self, k: int) -> Elements:
        """A party's half of the factor, (bins,): never zero. Only the dealer, which knows both, uses it."""
        return elements(self.prg, Purpose.COUNT_FACTOR, k, self.demand.bins, P - 1) + np.uint32(1)

    def _expand(self, purpose: Purpose, counter: int, rows: int, columns: int) -> Elements:
        return elements(self.prg, purpose, counter, rows * columns).reshape(rows, columns)


Fetch = Callable[[int, tuple[int, ...]], Awaitable[Elements]]  # number and shape of a dealt array to the array


@dataclass(frozen=True, repr=False)
class Counting:
    """One party's randomness for one counting: the grid expands its shares of what is dealt, the bank receives its own."""

    party: Party
    masks: CountMasks
    fetch: Fetch

    @property
    def demand(self) -> CountsDemand:
        return self.masks.demand

    async def offset(self, k: int) -> Elements:
        if self.party is Party.GRID:
            return self.masks.offset(k)
        return await self.fetch(2 * k, (self.demand.bins,))

    async def tables(self, k: int) -> Elements:
        if self.party is Party.GRID:
            return self.masks.tables(k)
        return await self.fetch(2 * k + 1, ((self.demand.least + 1) ** 2, self.demand.bins))

"""What the dealer deals for telling the strongest groups of the grid's columns in each row. PROTOCOL.md section 18."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from common.errors import PeerProtocolError
from common.learn.linear.deal import MOST_COLUMNS, MOST_ROWS
from common.mpc.correlations.asked import MATRIX_BLOCK
from common.mpc.dealer import Dealt, Prgs, deal_truncation
from common.mpc.fixedpoint import WEIGHT_SCALE, top32
from common.mpc.prg import Purpose
from common.mpc.product import forward, forward_units
from common.mpc.ranks.dealer import deal_ranks, rank_arrays
from common.mpc.ranks.masks import MOST, WIDTH, compared
from common.mpc.session import Kind, Round
from common.party import Party

ROW_SCALE = 16  # of prepared rows: finer than rows that are scored, as contributions are compared
VALUE_SCALE = ROW_SCALE + WEIGHT_SCALE  # of a contribution
VALUE_BITS = VALUE_SCALE + 7  # low bits of it that are compared: within 64 log-odds, in steps of 2^-10
STEP_BITS = VALUE_BITS - WIDTH

MOST_CELLS = 1 << 27  # of the matrix that turns weights into those of groups: 2,000 columns of 30 texts
_KEY = 1 << 49  # above every number of a training and of a scoring
_CELLS = 1 << 19  # comparisons made together


@dataclass(frozen=True)
class ReasonsDemand:
    """Asks the dealer for telling, of so many rows, which of `groups` groups of the grid's columns contribute most."""

    rows: int
    grid_columns: int
    groups: int

    @property
    def fits(self) -> bool:
        """Whether the numbers are ones that reasons are told of."""
        sizes = 0 < self.rows <= MOST_ROWS and 0 < self.grid_columns <= MOST_COLUMNS and 0 < self.groups <= MOST
        return sizes and self.groups * self.grid_columns**2 <= MOST_CELLS

    @property
    def key(self) -> int:
        """The number of what weights of groups are made by; those of blocks of rows follow."""
        return _KEY

    def arrays(self, party: Party) -> Iterator[tuple[Round, tuple[int, ...]]]:
        """Label and shape of each array of words that a party is dealt for it, in the order of its use."""
        yield Round(Kind.DEALT_TRUNCATION, self.key), (self.groups * self.grid_columns,)
        for number, rows in self.blocks():
            yield from rank_arrays(number, self.groups, rows.stop - rows.start, party)

    def blocks(self) -> Iterator[tuple[int, slice]]:
        """The number and the rows of each block, whose contributions are compared together."""
        size = min(MATRIX_BLOCK, max(1, _CELLS // compared(self.groups)))
        for block, low in enumerate(range(0, self.rows, size)):
            yield self.key + 1 + block, slice(low, min(self.rows, low + size))


def deal_reasons(prg: Prgs, demand: ReasonsDemand) -> Iterator[Dealt]:
    """The truncation of the groups' weights; then what ranking each block of rows takes. PeerProtocolError for other sizes."""
    if not demand.fits:
        raise PeerProtocolError("the parties ask the dealer for reasons of no size", got=demand)
    groups, columns, key = demand.groups, demand.grid_columns, demand.key
    count = groups * columns
    # The mask of the grid's weights is the bank's, since the bank hides its share of them.
    weights = prg[Party.BANK].words(Purpose.WEIGHTS, key, columns)
    matrix = prg[Party.GRID].words(Purpose.MATRIX, key, columns * count).reshape(columns, count).T
    yield deal_truncation(prg, key, forward(matrix, weights), WEIGHT_SCALE)
    by_group = prg[Party.BANK].words(Purpose.WEIGHTS, key + 1, count).reshape(groups, columns).T
    for number, rows in demand.blocks():
        size = rows.stop - rows.start
        hide = prg[Party.GRID].words(Purpose.MATRIX, number, columns * size).reshape(columns, size).T
        yield from deal_ranks(prg, number, top32(forward_units(hide, by_group), VALUE_BITS))

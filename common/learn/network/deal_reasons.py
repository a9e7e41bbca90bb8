"""What is dealt for telling, by a network, the strongest groups of the grid's columns in each row. PROTOCOL.md section 18."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from common.errors import PeerProtocolError
from common.learn.network.activations import DEAL, NAMES
from common.learn.network.deal import CELLS, block_masks, fits_a_network, unit_arrays
from common.learn.network.scales import Scales
from common.mpc.correlations.asked import MATRIX_BLOCK
from common.mpc.dealer import Dealt, Prgs, both
from common.mpc.fixedpoint import top32
from common.mpc.prg import Purpose
from common.mpc.product import forward_units
from common.mpc.ranks.dealer import deal_ranks, rank_arrays
from common.mpc.ranks.masks import MOST, WIDTH, compared
from common.mpc.session import Round
from common.party import Party

_FIRST = 1 << 49  # above every number of a training and of a scoring
_RANKED = 1 << 40  # beside a block's number: what is ranked is masked apart, as units may be compared too
_WITHIN = 7  # bits of the period of a contribution: within 64 log-odds


@dataclass(frozen=True)
class NetworkReasonsDemand:
    """Asks the dealer for telling, of so many rows, which of `groups` groups of the grid's columns raise u most.

    activation: its place in `activations.NAMES`.
    """

    rows: int
    grid_columns: int
    bank_columns: int
    units: int
    groups: int
    activation: int = 0

    @property
    def fits(self) -> bool:
        """Whether the numbers are ones that reasons are told of."""
        known = fits_a_network(self.rows, (self.grid_columns, self.bank_columns), self.units, self.activation)
        return known and 0 < self.groups <= MOST

    @property
    def key(self) -> int:
        """The number under which weights are masked; the first block's too."""
        return _FIRST

    @property
    def name(self) -> str:
        """The activation's."""
        return NAMES[self.activation]

    @property
    def scales(self) -> Scales:
        """How units are looked up: as when rows are scored."""
        return Scales.of_scores(self.name)

    @property
    def value_bits(self) -> int:
        """Low bits of a contribution that are compared."""
        return self.scales.output + _WITHIN

    @property
    def step_bits(self) -> int:
        """Contributions are compared in steps of 2^step_bits of their unit: 2^-10 of log-odds."""
        return self.value_bits - WIDTH

    @property
    def versions(self) -> int:
        """How often a row is taken through the units: as it is, and without each group."""
        return self.groups + 1

    def ranked(self, key: int) -> int:
        """The number under which the contributions of this block are ranked."""
        return key | _RANKED

    def arrays(self, party: Party) -> Iterator[tuple[Round, tuple[int, ...]]]:
        """Label and shape of each array of words that a party is dealt for it, in the order of its use."""
        for key, rows in self.blocks():
            count = rows.stop - rows.start
            yield from unit_arrays(self.name, party, key, self.versions * count * self.units, trained=False)
            yield from rank_arrays(self.ranked(key), self.groups, count, party)

    def blocks(self) -> Iterator[tuple[int, slice]]:
        """The number and the rows of each block."""
        most = min(MATRIX_BLOCK, CELLS // (self.units * self.versions), CELLS // compared(self.groups))
        for block, low in enumerate(range(0, self.rows, most)):
            yield self.key | block, slice(low, min(self.rows, low + most))


def deal_reasons(prg: Prgs, demand: NetworkReasonsDemand) -> Iterator[Dealt]:
    """Of each block of rows what units take, then what ranking takes. Raises PeerProtocolError for other sizes."""
    if not demand.fits:
        raise PeerProtocolError("the parties ask the dealer for reasons of no size", got=demand)
    columns = {Party.GRID: demand.grid_columns, Party.BANK: demand.bank_columns}
    weights = block_masks(prg, demand.key, columns, demand.units)
    output = both(prg, Purpose.OUTPUT_WEIGHTS, demand.key, demand.units)
    for key, rows in demand.blocks():
        count = rows.stop - rows.start
        counts = {Party.GRID: count * demand.versions, Party.BANK: count}
        parts = []
        for p in Party:
            hide = prg[p].words(Purpose.MATRIX, key, columns[p] * counts[p]).reshape(columns[p], counts[p]).T
            parts.append(forward_units(hide, weights[p]))
        offset = parts[0] + np.tile(parts[1], demand.versions)
        later = yield from DEAL[demand.name](prg, key, offset, output, None, demand.scales)
        lacks = later.u.reshape(demand.versions, count)
        yield from deal_ranks(prg, demand.ranked(key), top32(lacks[0] - lacks[1:], demand.value_bits))

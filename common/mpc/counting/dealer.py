"""What the dealer deals the bank for counting labels by bin; the grid expands its shares. PROTOCOL.md section 13."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from common.errors import PeerProtocolError
from common.mpc import field
from common.mpc.counting.masks import CountMasks, CountsDemand
from common.mpc.dealer import Dealt, Prgs
from common.mpc.field import Elements
from common.mpc.session import Kind, Round
from common.party import Party


def deal_counts(prg: Prgs, demand: CountsDemand) -> Iterator[Dealt]:
    """The bank's arrays, in the order in which it asks for them. Raises PeerProtocolError for sizes that are not counted."""
    if not demand.fits:
        raise PeerProtocolError("the parties ask the dealer for too many bins or rows", got=demand)
    for number, values in counts_dealt(prg, demand):
        yield [(Party.BANK, Round(Kind.DEALT_COUNTS, number), values)]


def counts_dealt(prg: Prgs, demand: CountsDemand) -> Iterator[tuple[int, Elements]]:
    """The number and the values of each array."""
    grid, bank = (CountMasks(prg[party], demand) for party in Party)
    yield 0, field.subtract(_indicator_offset(grid, bank), grid.offset(0))
    for k in range(1, demand.rounds + 2):
        yield 2 * k, field.subtract(field.apply(grid.groups(k), bank.counts(k)), grid.offset(k))
        if k <= demand.rounds:
            yield 2 * k + 1, field.subtract(_tables(grid, bank, k), grid.tables(k))


def _indicator_offset(grid: CountMasks, bank: CountMasks) -> Elements:
    total = np.zeros(grid.demand.bins, np.uint32)
    for block, part in enumerate(grid.demand.blocks()):
        rows = part.stop - part.start
        total = field.add(total, field.apply(grid.indicators(block, rows), bank.labels(block, rows)))
    return total


def _tables(grid: CountMasks, bank: CountMasks, k: int) -> Elements:
    """factor * a^i * b^j for the masks a and b of both classes' counts, j fastest."""
    a, b = field.add(grid.angle(k), bank.angle(k))
    row = field.multiply(grid.factor(k), bank.factor(k))
    out = []
    for _ in range(grid.demand.least + 1):
        term = row
        for _ in range(grid.demand.least + 1):
            out.append(term)
            term = field.multiply(term, b)
        row = field.multiply(row, a)
    return np.stack(out)

"""The strongest groups of the grid's columns in each row, by a network that nobody holds: told to the bank alone.

What a group raises u by is u less what it would be with the group's columns at their mean over the training rows. The grid
takes each row through the units once as it is and once without each group, all masked apart, so that the bank sees neither
which column is in which group nor how u changes. PROTOCOL.md section 18.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from common.errors import PolicyError
from common.learn.groups import Groups, dither_groups, members
from common.learn.network.activations import NAMES, forward
from common.learn.network.deal_reasons import NetworkReasonsDemand
from common.learn.network.descent import Point, ahead_of, share_point
from common.learn.network.half import NetworkModel
from common.learn.network.units import Seat
from common.mpc.correlations.asked import Correlations
from common.mpc.fixedpoint import Words, encode, top32
from common.mpc.narrow import Bytes
from common.mpc.product import forward_units
from common.mpc.ranks.find import tell_largest
from common.mpc.session import Kind, Session
from common.party import Party
from common.rows.table import FeatureTable


async def tell_groups(
    session: Session,
    correlations: Correlations,
    network: NetworkModel,
    table: FeatureTable,
    groups: Groups,
    count: int,
    threshold: float,
    most: int,
) -> Bytes | None:
    """At the bank, for each row, 1 + the group that raises u most, and the next, (rows, most); 0 for none. None at the grid.

    groups: at the grid, the group of each of its prepared columns, below `count`; empty at the bank. threshold: at the grid,
    the log-odds by which a group must raise u. What groups raise it by is told apart in steps of 2^-10, where it is within 64
    of zero and of another's, and as exactly as rows are scored.

    1. exchange the masked shares of the other's block of weights and of the output
    2. for each block of rows, exchange the masked rows: the bank's once, the grid's once more without each group
    3. the units of all of them, as in a scoring
    4. what each group raises u by is ranked
    """
    own, other = len(network.weights.own), len(network.weights.other)
    sizes = (own, other) if session.party is Party.GRID else (other, own)
    demand = NetworkReasonsDemand(table.rows, *sizes, network.units, count, NAMES.index(network.activation))
    if not demand.fits:
        raise PolicyError(f"reasons of {count} texts are told of no model of this size", got=demand)
    seat = Seat(session, correlations, await correlations.source(demand))
    point = await share_point(session, correlations, demand.key, ahead_of(network.weights))
    part, dither = _Contributions(seat, demand, network, point, members(groups, count)), None
    codes = np.zeros((table.rows, most), np.uint8)
    if session.party is Party.GRID:
        dither = dither_groups(network.weights.own.tobytes(), table, count, demand.step_bits)
    for key, rows in demand.blocks():
        values = await part.of(table.part(rows.start, rows.stop), key)
        if dither is not None:
            values += dither(rows) - encode([threshold], demand.scales.output)
        shares = top32(values, demand.value_bits)
        told = await tell_largest(session, seat.source, demand.ranked(key), shares, most, Kind.GRID_REASONS)
        if told is not None:
            codes[rows] = told
        session.reporter.progress(rows.stop, table.rows)
    return None if session.party is Party.GRID else codes


@dataclass(frozen=True, repr=False)
class _Contributions:
    """Shares of what each group raises u by. members: at the grid, (groups, m)."""

    seat: Seat
    demand: NetworkReasonsDemand
    network: NetworkModel
    point: Point
    members: npt.NDArray[np.bool_]

    async def of(self, table: FeatureTable, key: int) -> Words:
        """(groups, rows) at `scales.output`, off by what the dealer knows."""
        demand, session = self.demand, self.seat.session
        versions, rows, grid = demand.versions, table.rows, session.party is Party.GRID
        (own, units), other = self.network.weights.own.shape, len(self.network.weights.other)
        mine, theirs = (versions * rows, rows) if grid else (rows, versions * rows)

        def hide() -> tuple[Words, Words]:
            words, _ = self.network.encoded(table)
            if grid:
                words = np.concatenate([words, *(np.where(lone, np.uint64(0), words) for lone in self.members)])
            return words, words.T - self.seat.correlations.matrix_mask(key, mine, own)

        words, hidden = await session.compute(hide, mine * own)
        received = await session.exchange(Kind.MASKED_MATRIX, hidden, shape=(other, theirs))

        def multiply() -> Words:
            parts = [forward_units(words, self.point.own), forward_units(received.T, self.point.mask)]
            at = int(grid)  # of the bank's rows, which are the same in all versions
            parts[at] = np.tile(parts[at], versions)
            return parts[0] + parts[1]

        sums = await session.compute(multiply, versions * rows * units * (own + other))
        u, _ = await forward(demand.name, self.seat, key, sums, self.point.output, demand.scales, trained=False)
        found = u.reshape(versions, rows)
        parts: Words = found[0] - found[1:]
        return parts

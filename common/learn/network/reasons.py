"""The strongest groups of the grid's columns in each row, by a network that nobody holds: told to the bank alone.

What a group raises u by is u less what it would be with the group's columns at their mean over the training rows. The grid
takes each row through the units once as it is and once without each group, all masked apart, so that the bank sees neither
which column is in which group nor how u changes. PROTOCOL.md section 18.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from common.errors import PolicyError
from common.learn.dealt_ahead import Ahead
from common.learn.groups import Groups, dither_groups, least_of, members
from common.learn.learner import Size
from common.learn.lots import Lot, Lots
from common.learn.network.activations import LOOK_UP, MASKS, NAMES
from common.learn.network.deal_reasons import NetworkReasonsDemand
from common.learn.network.descent import Point, ahead_of, share_point
from common.learn.network.half import NetworkModel
from common.learn.network.units import Seat, UnitMasks, Which
from common.learn.ranked import Ranks
from common.mpc.correlations.asked import Correlations
from common.mpc.fixedpoint import Reals, Words, encode, top32
from common.mpc.narrow import Bytes
from common.mpc.product import forward_units
from common.mpc.ranks.find import Ranking, RankParts, tell_largest
from common.mpc.session import Kind, Session
from common.party import Party
from common.plan.network import Network
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
    by, dither = await _Contributions.begin(session, correlations, network, groups, table.rows, count), None
    demand, codes = by.demand, np.zeros((table.rows, most), np.uint8)
    if session.party is Party.GRID:
        dither = dither_groups(network.weights.own.tobytes(), table, count, demand.step_bits)
    for key, rows in demand.blocks():
        part = table.part(rows.start, rows.stop)
        masks = await asyncio.to_thread(by.masks, key, part.rows)
        values = await by.of(part, masks, slice(0, part.rows), part.rows)
        if dither is not None:
            values += dither(rows) - encode([threshold], demand.scales.output)
        shares = top32(values, demand.value_bits)
        told = await tell_largest(session, by.seat.source, demand.ranked(key), shares, most, Kind.GRID_REASONS)
        if told is not None:
            codes[rows] = told
        session.reporter.progress(rows.stop, table.rows)
    return None if session.party is Party.GRID else codes


def asked_ahead(section: Network, size: Size, texts: int) -> Ahead:
    """What is dealt for telling them of rows that are asked for."""
    activation = NAMES.index(section.activation)
    demand = NetworkReasonsDemand(size.rows, size.grid_columns, size.bank_columns, section.hidden, texts, activation)
    return Ahead(demand, demand.arrays, ("network reasons", section.hidden, section.activation, texts))


class ByGroups:
    """Ranks groups of the grid's columns in rows by one network, some rows after others, within the rows of one demand."""

    def __init__(self, by: _Contributions, ranks: Ranks, least: Reals, named: int) -> None:
        self._by, self._ranks, self._named = by, ranks, named
        self._least = encode(least, by.demand.scales.output)[:, None]
        self._lots = Lots[_Masks](by.demand.blocks(), by.demand.rows)

    @property
    def held(self) -> int:
        """How many values of the grid were held at X_LIMIT."""
        return self._by.held

    @classmethod
    async def begin(
        cls,
        session: Session,
        correlations: Correlations,
        network: NetworkModel,
        groups: Groups,
        named: int,
        threshold: float,
        rows: int,
        texts: int,
    ) -> ByGroups:
        """Of rows that are asked for, from a stock for so many, of at most so many texts; named: of those that there are."""
        by = await _Contributions.begin(session, correlations, network, groups, rows, texts)
        demand = by.demand
        ranks = Ranks(by.seat.source, ((demand.ranked(key), at) for key, at in demand.blocks()), texts, rows)
        found = cls(by, ranks, least_of(threshold, named, texts), named)
        if (lot := found._lots.ahead()) is not None:
            await found._ready(lot)
        await ranks.warm()
        return found

    async def _ready(self, lot: Lot[_Masks]) -> _Masks:
        if lot.masks is None:
            masks = lot.masks = await asyncio.to_thread(self._by.masks, lot.key, lot.rows)
            await masks.units.ready()
        return lot.masks

    async def post(self, table: FeatureTable) -> Ranking:
        """What each group raises u by in these rows, as it is about to be ranked, and this party's half of it.

        One message each way, those of the units, then one of 17 bits a row and group.
        """
        session, demand = self._by.seat.session, self._by.demand
        values, parts = list[Words](), list[RankParts]()
        for piece, ranked in zip(self._lots.take(table.rows), self._ranks.take(table.rows), strict=True):
            masks, own = await self._ready(piece.lot), table.part(piece.rows.start, piece.rows.stop)
            parts.append(await self._ranks.of(ranked))
            values.append(await self._by.of(own, masks, piece.at, piece.lot.rows))
            if piece.last:
                piece.lot.masks = None  # all of it is used
        found = np.concatenate(values, axis=1)
        if session.party is Party.GRID:
            secret = self._by.network.weights.own.tobytes()
            found -= self._least
            found[: self._named] += dither_groups(secret, table, self._named, demand.step_bits)(slice(None))
        ranking = Ranking(session, RankParts.joined(parts), top32(found, demand.value_bits))
        await ranking.post()
        return ranking


@dataclass(repr=False)
class _Masks:
    """What masks the rows of a block. hide: of own columns, (m, rows), at the grid (m, versions * rows)."""

    hide: Words
    units: UnitMasks


@dataclass(repr=False)
class _Contributions:
    """Shares of what each group raises u by. members: at the grid, (groups, m); held: values of the grid held at X_LIMIT."""

    seat: Seat
    demand: NetworkReasonsDemand
    network: NetworkModel
    point: Point
    members: npt.NDArray[np.bool_]
    held: int = 0

    @classmethod
    async def begin(
        cls,
        session: Session,
        correlations: Correlations,
        network: NetworkModel,
        groups: Groups,
        rows: int,
        texts: int,
    ) -> _Contributions:
        """Exchanges the masked shares of the other's block of weights and of the output. PolicyError for other sizes."""
        own, other = len(network.weights.own), len(network.weights.other)
        sizes = (own, other) if session.party is Party.GRID else (other, own)
        demand = NetworkReasonsDemand(rows, *sizes, network.units, texts, NAMES.index(network.activation))
        if not demand.fits:
            raise PolicyError(f"reasons of {texts} texts are told of no model of this size", got=demand)
        seat = Seat(session, correlations, await correlations.source(demand))
        point = await share_point(session, correlations, demand.key, ahead_of(network.weights))
        return cls(seat, demand, network, point, members(groups, texts))

    def masks(self, key: int, rows: int) -> _Masks:
        """Of a block of so many rows."""
        demand, seat, wide = self.demand, self.seat, self.demand.versions * rows
        mine = wide if seat.session.party is Party.GRID else rows
        hide = seat.correlations.matrix_mask(key, mine, len(self.network.weights.own))
        return _Masks(hide, MASKS[demand.name](seat, key, self.network.units, wide, trained=False))

    async def of(self, table: FeatureTable, masks: _Masks, at: slice, rows: int) -> Words:
        """(groups, rows) at `scales.output`, off by what the dealer knows. at: places of the rows in a block of so many."""
        demand, session = self.demand, self.seat.session
        versions, count, grid = demand.versions, table.rows, session.party is Party.GRID
        (own, units), other = self.network.weights.own.shape, len(self.network.weights.other)
        wide: Which = slice(0, versions * rows)
        if at != slice(0, rows):
            wide = (np.arange(versions)[:, None] * rows + np.arange(at.start, at.stop)).ravel()

        def hide() -> tuple[Words, int, Words]:
            words, beyond = self.network.encoded(table)
            if grid:
                words = np.concatenate([words, *(np.where(lone, np.uint64(0), words) for lone in self.members)])
            return words, beyond, words.T - masks.hide[:, wide if grid else at]

        words, beyond, hidden = await session.compute(hide, len(masks.hide) * versions * count)
        self.held += beyond if grid else 0
        received = await session.exchange(Kind.MASKED_MATRIX, hidden, shape=(other, count if grid else versions * count))

        def multiply() -> Words:
            parts = [forward_units(words, self.point.own), forward_units(received.T, self.point.mask)]
            at = int(grid)  # of the bank's rows, which are the same in all versions
            parts[at] = np.tile(parts[at], versions)
            return parts[0] + parts[1]

        sums = await session.compute(multiply, versions * count * units * (own + other))
        u, _ = await LOOK_UP[demand.name](session, masks.units, wide, sums, self.point.output, demand.scales)
        found = u.reshape(versions, count)
        parts: Words = found[0] - found[1:]
        return parts

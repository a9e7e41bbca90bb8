"""The strongest groups of the grid's columns in each row, by a linear model that nobody holds: told to the bank alone.

What a group contributes is its prepared columns times their weights. The grid, which knows the groups and its own whitening,
turns shares of the whitened weights into shares of each group's weights, zeros included, so that the bank does not see which
column is in which group. Rows are masked and multiplied as when they are scored, and contributions ranked. PROTOCOL.md
section 18.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np

from common.errors import PolicyError
from common.learn.dealt_ahead import Ahead
from common.learn.groups import Groups, dither_groups, least_of, members
from common.learn.learner import Size
from common.learn.linear.deal_reasons import MOST_CELLS, ROW_SCALE, STEP_BITS, VALUE_BITS, VALUE_SCALE, ReasonsDemand
from common.learn.linear.half import ClosedModel
from common.learn.lots import Lot, Lots
from common.mpc.correlations.asked import Correlations
from common.mpc.correlations.source import Source
from common.mpc.fixedpoint import WEIGHT_SCALE, X_LIMIT, Reals, Words, check_range, encode, top32
from common.mpc.narrow import Bytes
from common.mpc.product import forward, forward_units
from common.mpc.ranks.find import Ranking, RankParts, take_rank_parts
from common.mpc.session import Kind, Session
from common.mpc.truncate import truncate
from common.party import Party
from common.plan.linear import Model
from common.rows.table import FeatureTable


async def tell_groups(
    session: Session,
    correlations: Correlations,
    model: ClosedModel,
    table: FeatureTable,
    groups: Groups,
    count: int,
    threshold: float,
    most: int,
) -> Bytes | None:
    """At the bank, for each row, 1 + the group that raises u most, and the next, (rows, most); 0 for none. None at the grid.

    groups: at the grid, the group of each of its prepared columns, below `count`; empty at the bank. threshold: at the grid,
    the log-odds by which a group must raise u. Contributions are told apart by 2^-8, where they are within 64 of it and of
    each other.

    1. the grid sends its masked matrix of groups, the bank its masked share of the grid's weights
    2. the truncation of the groups' weights: 8 bytes a group and column
    3. the bank sends its masked share of these
    4. for each block of rows the grid sends them masked, 8 bytes a column, and contributions are ranked
    """
    grid = session.party is Party.GRID
    demand = ReasonsDemand(table.rows, len(model.own if grid else model.other), count)
    by = await ByGroups.begin(session, correlations, model, groups, demand, threshold, count)
    codes = np.zeros((table.rows, most), np.uint8)
    dither = dither_groups(model.own.tobytes(), table, count, STEP_BITS) if grid else None
    for _, rows in demand.blocks():
        part = table.part(rows.start, rows.stop)
        ranking = await by.post(part, dither(rows) if dither is not None else None)
        told = await ranking.tell(most, Kind.GRID_REASONS)
        if told is not None:
            codes[rows] = told
        session.reporter.progress(rows.stop, table.rows)
    if by.held:
        session.reporter.warn(f"{by.held} values of the grid lay beyond what reasons hold, and were held there")
    return None if grid else codes


async def begin_asked(
    session: Session,
    correlations: Correlations,
    model: ClosedModel,
    groups: Groups,
    named: int,
    threshold: float,
    rows: int,
    texts: int,
) -> ByGroups:
    """Of rows that are asked for, from a stock for so many, of at most so many texts; named: of those that there are."""
    columns = len(model.own if session.party is Party.GRID else model.other)
    by = await ByGroups.begin(session, correlations, model, groups, ReasonsDemand(rows, columns, texts), threshold, named)
    await by.warm()
    return by


def asked_ahead(section: Model, size: Size, texts: int) -> Ahead:
    """What that is dealt. Raises PolicyError for sizes that nothing is dealt for."""
    demand = ReasonsDemand(size.rows, size.grid_columns, texts)
    _check_fits(demand)
    return Ahead(demand, demand.arrays, ("reasons", texts))


def _check_fits(demand: ReasonsDemand) -> None:
    if not demand.fits:
        raise PolicyError(
            f"reasons of {demand.groups} texts over {demand.grid_columns} prepared columns of the grid are too large a matrix",
            expected=f"texts times columns squared at most {MOST_CELLS}",
            remedy="Share texts, or train on fewer columns of the grid.",
        )


@dataclass(repr=False)
class _Masks:
    """What masks the rows of a lot. hide: at the grid, (m, rows)."""

    hide: Words
    parts: RankParts


class ByGroups:
    """Ranks groups of the grid's columns in rows by one closed model, some rows after others, within the rows of one demand.

    The weights of groups are masked once, when it starts; each row has masks of its own, taken in order and used up.
    """

    def __init__(
        self,
        session: Session,
        correlations: Correlations,
        source: Source,
        model: ClosedModel,
        weights: Words,
        least: Reals,
        lots: Lots[_Masks],
        named: int,
    ) -> None:
        """weights: (m, groups), at the grid less the bank's mask, at the bank that mask. least: of each group, at the grid."""
        self._session, self._correlations, self._source, self._model = session, correlations, source, model
        self._weights, self._least = weights, encode(least, VALUE_SCALE)[:, None]
        self._lots, self._named = lots, named
        self.held = 0  # values of the grid that were held at X_LIMIT

    @classmethod
    async def begin(
        cls,
        session: Session,
        correlations: Correlations,
        model: ClosedModel,
        groups: Groups,
        demand: ReasonsDemand,
        threshold: float,
        named: int,
    ) -> ByGroups:
        """Two messages. named: how many of the demand's groups there are; the rest has no columns and is never told.

        Raises PolicyError for sizes that nothing is dealt for.
        """
        _check_fits(demand)
        source = await correlations.source(demand)
        shares = await _weights(session, correlations, model, groups, demand)
        if session.party is Party.GRID:
            weights = shares + await session.receive(Kind.MASKED_WEIGHTS, np.uint64, shares.shape)
        else:
            weights = correlations.weight_mask(demand.key + 1, shares.size).reshape(shares.shape)
            await session.send(Kind.MASKED_WEIGHTS, shares - weights)
        least = least_of(threshold, named, demand.groups)
        return cls(session, correlations, source, model, weights.T, least, Lots(demand.blocks(), demand.rows), named)

    async def warm(self) -> None:
        """Expands the masks of the next lot, which the first row of it would else wait for."""
        if (lot := self._lots.ahead()) is not None and lot.masks is None:
            lot.masks = await self._masks(lot)

    async def _masks(self, lot: Lot[_Masks]) -> _Masks:
        columns, groups = self._weights.shape
        hide = np.empty((0, lot.rows), np.uint64)
        if self._session.party is Party.GRID:
            expand = partial(self._correlations.matrix_mask, lot.key, lot.rows, columns)
            hide = await self._session.compute(expand, columns * lot.rows)
        return _Masks(hide, await take_rank_parts(self._source, lot.key, groups, lot.rows))

    async def _taken(self, rows: int) -> _Masks:
        """The masks of rows that nobody takes again."""
        found = list[_Masks]()
        for piece in self._lots.take(rows):
            if (masks := piece.lot.masks) is None:
                masks = piece.lot.masks = await self._masks(piece.lot)
            found.append(_Masks(masks.hide[:, piece.at], masks.parts.at(piece.at)))
            if piece.last:
                piece.lot.masks = None  # all of them are used
        if len(found) == 1:
            return found[0]
        return _Masks(np.concatenate([one.hide for one in found], axis=1), RankParts.joined([one.parts for one in found]))

    async def post(self, table: FeatureTable, dither: Words | None = None) -> Ranking:
        """Contributions of each group to u in these rows, as they are about to be ranked, and this party's half of them.

        dither: at the grid, what is added to them, (named groups, rows), where that is made already. One message from the grid,
        8 bytes a row and column, and one each way, 17 bits a row and group.
        """
        session, (columns, groups), rows = self._session, self._weights.shape, table.rows
        masks, work = await self._taken(rows), rows * columns * groups
        if session.party is Party.BANK:
            masked = await session.collect(Kind.MASKED_MATRIX, np.uint64, (columns, rows))
            values = await session.compute(lambda: forward_units(masked.T, self._weights), work)
        else:
            hidden, values, held = await session.compute(lambda: self._multiplied(table, masks.hide), work)
            self.held += held
            values -= self._least
            if dither is None:
                dither = dither_groups(self._model.own.tobytes(), table, self._named, STEP_BITS)(slice(None))
            values[: self._named] += dither
            await session.post(Kind.MASKED_MATRIX, hidden)
        ranking = Ranking(session, masks.parts, top32(values, VALUE_BITS))
        await ranking.post()
        return ranking

    def _multiplied(self, table: FeatureTable, hide: Words) -> tuple[Words, Words, int]:
        """At the grid: rows masked, (m, rows); its share of the contributions, (groups, rows); how many values were held."""
        values, held = check_range(self._model.fitted.transform(table), X_LIMIT)
        words = encode(values, ROW_SCALE)
        return words.T - hide, forward_units(words, self._weights), held


async def _weights(
    session: Session, correlations: Correlations, model: ClosedModel, groups: Groups, demand: ReasonsDemand
) -> Words:
    """Shares of each group's weights on the grid's prepared columns, (groups, m) at WEIGHT_SCALE; zero on those of others."""
    columns, count = demand.grid_columns, demand.groups * demand.grid_columns
    if session.party is Party.GRID:
        lone = [model.whiten * row[:, None] for row in members(groups, demand.groups)]
        matrix = encode(np.concatenate(lone), WEIGHT_SCALE)
        await session.send(Kind.MASKED_MATRIX, matrix.T - correlations.matrix_mask(demand.key, count, columns))
        point = model.own + await session.receive(Kind.MASKED_WEIGHTS, np.uint64, model.own.shape)
        product = forward(matrix, point)
    else:
        mask = correlations.weight_mask(demand.key, columns)
        await session.send(Kind.MASKED_WEIGHTS, model.other - mask)
        masked = await session.receive(Kind.MASKED_MATRIX, np.uint64, (columns, count))
        product = forward(masked.T, mask)
    part = await correlations.truncation(demand.key, count)
    return (await truncate(session, part, product, WEIGHT_SCALE)).reshape(demand.groups, columns)

"""The strongest groups of the grid's columns in each row, by a linear model that nobody holds: told to the bank alone.

What a group contributes is its prepared columns times their weights. The grid, which knows the groups and its own whitening,
turns shares of the whitened weights into shares of each group's weights, zeros included, so that the bank does not see which
column is in which group. Rows are masked and multiplied as when they are scored, and contributions ranked. PROTOCOL.md
section 18.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from common.errors import PolicyError
from common.learn.groups import Groups, dither_groups, members
from common.learn.linear.deal_reasons import MOST_CELLS, ROW_SCALE, STEP_BITS, VALUE_BITS, VALUE_SCALE, ReasonsDemand
from common.learn.linear.half import ClosedModel
from common.mpc.correlations.asked import Correlations
from common.mpc.fixedpoint import WEIGHT_SCALE, X_LIMIT, Words, check_range, encode, top32
from common.mpc.narrow import Bytes
from common.mpc.product import forward, forward_units
from common.mpc.ranks.find import tell_largest
from common.mpc.session import Kind, Session
from common.mpc.truncate import truncate
from common.party import Party
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
    if not demand.fits:
        raise PolicyError(
            f"reasons of {count} texts over {demand.grid_columns} prepared columns of the grid are too large a matrix",
            expected=f"texts times columns squared at most {MOST_CELLS}",
            remedy="Share texts, or train on fewer columns of the grid.",
        )
    source = await correlations.source(demand)
    shares = await _weights(session, correlations, model, groups, demand)
    if grid:
        weights = shares + await session.receive(Kind.MASKED_WEIGHTS, np.uint64, shares.shape)
    else:
        weights = correlations.weight_mask(demand.key + 1, shares.size).reshape(shares.shape)
        await session.send(Kind.MASKED_WEIGHTS, shares - weights)
    part, codes = _Contributions(session, correlations, model, weights.T), np.zeros((table.rows, most), np.uint8)
    dither = dither_groups(model.own.tobytes(), table, count, STEP_BITS) if grid else None
    for number, rows in demand.blocks():
        values = await part.of(table.part(rows.start, rows.stop), number)
        if dither is not None:
            values += dither(rows) - encode([threshold], VALUE_SCALE)
        told = await tell_largest(session, source, number, top32(values, VALUE_BITS), most, Kind.GRID_REASONS)
        if told is not None:
            codes[rows] = told
        session.reporter.progress(rows.stop, table.rows)
    if part.held:
        session.reporter.warn(f"{part.held} values of the grid lay beyond what reasons hold, and were held there")
    return None if grid else codes


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


@dataclass(repr=False)
class _Contributions:
    """Shares of what each group adds to u. weights: at the grid less the bank's mask, at the bank that mask, (m, groups)."""

    session: Session
    correlations: Correlations
    model: ClosedModel
    weights: Words
    held: int = 0  # values of the grid that were held at X_LIMIT

    async def of(self, table: FeatureTable, number: int) -> Words:
        """(groups, rows) at VALUE_SCALE, off by what the dealer knows. One message from the grid, 8 bytes a row and column."""
        session, (columns, groups) = self.session, self.weights.shape
        work = table.rows * columns * groups
        if session.party is Party.BANK:
            masked = await session.receive(Kind.MASKED_MATRIX, np.uint64, (columns, table.rows))
            return await session.compute(lambda: forward_units(masked.T, self.weights), work)

        def multiply() -> tuple[Words, Words]:
            values, held = check_range(self.model.fitted.transform(table), X_LIMIT)
            self.held += held
            words = encode(values, ROW_SCALE)
            mask = self.correlations.matrix_mask(number, table.rows, columns)
            return words.T - mask, forward_units(words, self.weights)

        hidden, shares = await session.compute(multiply, work)
        await session.send(Kind.MASKED_MATRIX, hidden)
        return shares

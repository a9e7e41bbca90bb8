"""The strongest groups of the grid's columns in each row, by trees that nobody holds: told to the bank alone.

What a group raises u by is u less what it would be if the group's thresholds had each row on the side of most training rows,
a number's median. Rows go through all trees once as they are and once more without each group, as when they are scored; what
is ranked is exact. PROTOCOL.md section 18.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np

from common.errors import PolicyError
from common.learn.dealt_ahead import Ahead
from common.learn.groups import Groups, least_of, members
from common.learn.learner import Size
from common.learn.ranked import Ranks
from common.learn.trees.deal_reasons import TreeReasonsDemand
from common.learn.trees.forest import U_BITS, U_SCALE
from common.learn.trees.half import TreesHalf
from common.learn.trees.masks import Short
from common.learn.trees.score import Block
from common.learn.trees.walk import Walk
from common.mpc.circle import Turns
from common.mpc.correlations.asked import Correlations
from common.mpc.fixedpoint import Reals
from common.mpc.narrow import Bytes
from common.mpc.ranks.find import Ranking, RankParts, tell_largest
from common.mpc.session import Kind, Session
from common.party import Party
from common.plan.trees import Trees
from common.rows.table import FeatureTable


async def tell_groups(
    session: Session,
    correlations: Correlations,
    model: TreesHalf,
    table: FeatureTable,
    groups: Groups,
    count: int,
    threshold: float,
    most: int,
) -> Bytes | None:
    """At the bank, for each row, 1 + the group that raises u most, and the next, (rows, most); 0 for none. None at the grid.

    groups: at the grid, the group of each of its thresholds, below `count`; empty at the bank. threshold: at the grid, the
    log-odds by which a group must raise u. Steps of 2^-11 are told apart, and of equal groups the first is the stronger one,
    where what they raise u by is within 16 of zero and of another's.

    1. as in a scoring: exchange masked paths, then masked leaves, of each row as it is and without each group
    2. what each group raises u by is ranked
    """
    demand = _demand_of(model, table.rows, count)
    source, codes = await correlations.source(demand), np.zeros((table.rows, most), np.uint8)
    raised = _Raised(session.party, model, groups, least_of(threshold, count, count))
    for block, rows in demand.blocks():
        part = table.part(rows.start, rows.stop)
        wide = demand.versions * part.rows
        share = await Block(session, source, model, demand, block, wide).run(partial(raised.paths, part), wide)
        shares = raised.ranked(share.reshape(demand.versions, part.rows))
        told = await tell_largest(session, source, demand.ranked(block), shares, most, Kind.GRID_REASONS)
        if told is not None:
            codes[rows] = told
        session.reporter.progress(rows.stop, table.rows)
    return None if session.party is Party.GRID else codes


def asked_ahead(section: Trees, size: Size, texts: int) -> Ahead:
    """What is dealt for telling them of rows that are asked for. size: as of scores, the trees and their depth."""
    demand = TreeReasonsDemand(size.rows, size.grid_columns, size.bank_columns, texts)
    return Ahead(demand, demand.arrays, ("tree reasons", texts))


class ByGroups:
    """Ranks groups of the grid's columns in rows by trees, some rows after others, within the rows of one demand."""

    held = 0  # values of the grid that were held: a path holds any

    def __init__(self, session: Session, walk: Walk, ranks: Ranks, raised: _Raised, versions: int) -> None:
        self._session, self._walk, self._ranks, self._raised, self._versions = session, walk, ranks, raised, versions

    @classmethod
    async def begin(
        cls,
        session: Session,
        correlations: Correlations,
        model: TreesHalf,
        groups: Groups,
        named: int,
        threshold: float,
        rows: int,
        texts: int,
    ) -> ByGroups:
        """Of rows that are asked for, from a stock for so many, of at most so many texts; named: of those that there are."""
        demand = _demand_of(model, rows, texts)
        source = await correlations.source(demand)
        ranks = Ranks(source, ((demand.ranked(block), at) for block, at in demand.blocks()), texts, rows)
        raised = _Raised(session.party, model, groups, least_of(threshold, named, texts))
        by = cls(session, Walk(session, source, model, demand), ranks, raised, demand.versions)
        await by._walk.warm()
        await ranks.warm()
        return by

    async def post(self, table: FeatureTable) -> Ranking:
        """What each group raises u by in these rows, as it is about to be ranked, and this party's half of it.

        Two messages each way, as of a scoring, then one of 17 bits a row and group.
        """
        rows, parts = table.rows, list[RankParts]()
        pieces = self._walk.take(rows)
        for piece, ranked in zip(pieces, self._ranks.take(rows), strict=True):
            await self._walk.ready(piece.lot)
            parts.append(await self._ranks.of(ranked))
        paths = await self._session.compute(
            partial(self._raised.paths, table), self._versions * rows * len(self._raised.model.splits)
        )
        shares = self._raised.ranked(await self._walk.shares(paths, pieces))
        ranking = Ranking(self._session, RankParts.joined(parts), shares)
        await ranking.post()
        return ranking


def _demand_of(model: TreesHalf, rows: int, texts: int) -> TreeReasonsDemand:
    demand = TreeReasonsDemand(rows, model.shape.trees, model.shape.depth, texts)
    if not demand.fits:
        raise PolicyError(f"reasons of {texts} texts are told of no model of this size", got=demand)
    return demand


@dataclass(frozen=True, repr=False)
class _Raised:
    """What groups raise u by, at one party. least: log-odds by which each must, (groups,)."""

    party: Party
    model: TreesHalf
    groups: Groups
    least: Reals

    def paths(self, table: FeatureTable) -> Bytes:
        """This party's part of each row's paths as the row is, and without each group, (trees, versions * rows)."""
        if self.party is Party.BANK:
            return np.tile(self.model.paths(table), 1 + len(self.least))
        return self.model.paths(table, list(members(self.groups, len(self.least))))

    def ranked(self, share: Short) -> Turns:
        """Shares of what is ranked, (groups, rows), of those of u, (versions, rows): above zero what raises u by more."""
        values = share[0] - share[1:]
        if self.party is Party.GRID:  # what is at least zero counts as above it
            steps = np.floor(self.least * 2**U_SCALE).astype(np.int64) + 1
            values = values - (steps & 0xFFFF).astype(np.uint16)[:, None]
        shares: Turns = values.astype(np.uint32) << np.uint32(32 - U_BITS)
        return shares

"""Scores by trees of one table after another, of few rows each: the masks of many rows are expanded before they are asked for.

What is sent of a table is what `score` sends of it; all trees are walked through at once, as a step for each of them would take
longer than a row. PROTOCOL.md sections 14 and 19.
"""

from __future__ import annotations

import numpy as np

from common.learn.learner import Telling
from common.learn.rounds import Later
from common.learn.trees.deal import TreeScoreDemand
from common.learn.trees.half import TreesHalf
from common.learn.trees.score import tell
from common.learn.trees.walk import Walk
from common.mpc.correlations.asked import Correlations
from common.mpc.fixedpoint import Reals
from common.mpc.narrow import Bytes
from common.mpc.session import Session
from common.rows.table import FeatureTable, Index


class Scores:
    """Scores of tables of rows to the bank, one table after another, by one half of trees that nobody holds."""

    def __init__(self, session: Session, walk: Walk, model: TreesHalf, telling: Telling) -> None:
        self._session, self._walk, self._model, self._telling = session, walk, model, telling

    @classmethod
    async def begin(cls, session: Session, correlations: Correlations, model: TreesHalf, rows: int, telling: Telling) -> Scores:
        """For at most so many rows in all, or as many as are dealt. Nothing is exchanged."""
        demand = TreeScoreDemand(telling.number, telling.dealt or rows, *model.splits.shape)
        return cls(session, Walk(session, await correlations.source(demand), model, demand), model, telling)

    async def warm(self) -> None:
        """Expands the masks of the first rows, which the first one would else wait for."""
        await self._walk.warm()

    async def open(self, table: FeatureTable) -> Reals | None:
        """The log-odds u of each row, (n,), at the bank, in steps of 2^-bits; None at the grid. Three messages a lot."""
        model, pieces = self._model, self._walk.take(table.rows)
        path: Bytes = await self._session.compute(lambda: model.paths(table), len(model.splits) * table.rows)
        share = (await self._walk.shares(path, pieces))[0]
        return await tell(self._session, model, table, share + np.uint16(model.start & 0xFFFF), self._telling)

    async def ask(self, table: FeatureTable, at: Index, count: int) -> Later:
        """Rows that are asked for, of which nothing is sent before it is known which may be scored."""
        return Later(self, table, at)

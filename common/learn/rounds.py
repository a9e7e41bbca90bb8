"""Rows that are asked for, of a learner whose messages all come after the grid has said which of them may be scored."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from common.learn.learner import RowScores
from common.mpc.fixedpoint import Reals
from common.rows.table import FeatureTable, Index


@dataclass(frozen=True, repr=False)
class Later:
    """A `Request` that does nothing before. table, at: as of `RowScores.ask`."""

    scores: RowScores
    table: FeatureTable
    at: Index
    taken = 0

    async def open(self, kept: Index) -> Reals | None:
        table = self.table if len(kept) == len(self.at) else self.table.take(np.searchsorted(self.at, kept))
        return await self.scores.open(table)

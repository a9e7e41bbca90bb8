"""Joint scores to the bank: the grid sends its part of u, on a fixed grid, within its budget. PROTOCOL.md section 7."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from common.learn.linear.half import PartyModel
from common.mpc.fixedpoint import Reals, decode, encode
from common.mpc.session import Kind, Session
from common.party import Party
from common.rows.table import FeatureTable


class Budget(Protocol):
    """The account of the side whose columns a score tells of."""

    def charge(self, table: FeatureTable, model: str) -> None:
        """Enters these rows as scored by `model`, all or none. Raises PolicyError when one has been scored too often."""


async def open_scores(
    session: Session, model: PartyModel, table: FeatureTable, kind: Kind, bits: int, budget: Budget | None
) -> Reals | None:
    """The log-odds u of each row, (n,), at the bank, the grid's part in steps of 2^-bits; None at the grid.

    The grid charges `budget` for the rows before it sends. One message, 8 n bytes. A finer step would not rank better, and
    would tell more of the grid's row.
    """
    part = await session.compute(lambda: model.partial_scores(table), table.rows * len(model.weights))
    if session.party is Party.GRID:
        if budget is not None:
            await session.compute(lambda: budget.charge(table, model.job), table.rows * 64)
        await session.send(kind, encode(part, bits))
        return None
    theirs = await session.receive(kind, np.uint64, (table.rows,))
    return part + decode(theirs, bits)

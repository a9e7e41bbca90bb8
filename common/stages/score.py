"""Joint scores to the bank, on a fixed grid, within the grid's budget. PROTOCOL.md sections 6 and 7."""

from __future__ import annotations

from typing import Protocol

from common.learn.learner import Half
from common.learn.learners import named
from common.mpc.correlations.asked import Correlations
from common.mpc.fixedpoint import Reals
from common.mpc.session import Kind, Session
from common.rows.table import FeatureTable


class Budget(Protocol):
    """The account of the side whose columns a score tells of."""

    def charge(self, table: FeatureTable, model: str) -> None:
        """Enters these rows as scored by `model`, all or none. Raises PolicyError when one has been scored too often."""


async def open_scores(
    session: Session,
    correlations: Correlations,
    model: Half,
    table: FeatureTable,
    kind: Kind,
    bits: int,
    budget: Budget | None,
    number: int = 0,
) -> Reals | None:
    """The log-odds u of each row, (n,), at the bank, in steps of 2^-bits; None at the grid.

    The grid charges `budget` for the rows before anything of them is sent. number: of this scoring in its job. A finer step
    would not rank better, and would tell more of the grid's row.
    """
    if budget is not None:
        await session.compute(lambda: budget.charge(table, model.job), table.rows * 64)
    return await named(model.learner).open_scores(session, correlations, model, table, kind, bits, number)

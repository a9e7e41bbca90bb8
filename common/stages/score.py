"""Joint scores to the bank, on a fixed grid, within the grid's budget. PROTOCOL.md sections 6 and 7."""

from __future__ import annotations

from typing import Protocol

from common.learn.learner import Half, Telling
from common.learn.learners import named
from common.mpc.correlations.asked import Correlations
from common.mpc.fixedpoint import Reals
from common.mpc.session import Session
from common.rows.table import FeatureTable


class Budget(Protocol):
    """The account of the side whose columns a score tells of."""

    def charge(self, table: FeatureTable, model: str) -> None:
        """Enters these rows as scored by `model`, all or none. Raises PolicyError when one has been scored too often."""


async def charge(session: Session, budget: Budget | None, table: FeatureTable, model: Half) -> None:
    """Charges the budget, where there is one; again for the same rows and model it is free."""
    await session.compute(lambda: charge_now(budget, table, model), table.rows * 64)


def charge_now(budget: Budget | None, table: FeatureTable, model: Half) -> None:
    """As `charge`, in the thread that calls."""
    if budget is not None:
        budget.charge(table, model.job)


async def open_scores(
    session: Session,
    correlations: Correlations,
    model: Half,
    table: FeatureTable,
    telling: Telling,
    budget: Budget | None,
) -> Reals | None:
    """The log-odds u of each row, (n,), at the bank; None at the grid.

    The grid charges `budget` for the rows before anything of them is sent.
    """
    await charge(session, budget, table, model)
    return await named(model.learner).open_scores(session, correlations, model, table, telling)

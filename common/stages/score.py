"""Joint scores to the bank, on a fixed grid, within the grid's budget. PROTOCOL.md sections 6 and 7."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from common.disk.book import once_committed
from common.learn.learner import Half, Telling
from common.learn.learners import named
from common.mpc.correlations.asked import Correlations
from common.mpc.fixedpoint import Reals
from common.mpc.session import Session
from common.rows.table import FeatureTable


class Budget(Protocol):
    """The account of the side whose columns a score tells of."""

    def check(self, table: FeatureTable, model: str) -> None:
        """Raises PolicyError if `charge` would of rows that are not asked for one by one; nothing is entered."""

    def charge(self, table: FeatureTable, model: str, *, asked: bool = False) -> None:
        """Enters these rows as scored by `model`, all or none. Raises PolicyError when one has been scored too often.

        Again in the same job it is free; asked: one by one, so that a model whose scores of a row can tell something new each
        time is charged each time.
        """


@dataclass(frozen=True)
class Noted:
    """A budget that says how many rows it was charged for. charged: called with their number, once that is on disk."""

    budget: Budget
    charged: Callable[[int], None]

    def check(self, table: FeatureTable, model: str) -> None:
        self.budget.check(table, model)

    def charge(self, table: FeatureTable, model: str, *, asked: bool = False) -> None:
        self.budget.charge(table, model, asked=asked)
        once_committed(partial(self.charged, table.rows))


async def open_scores(
    session: Session,
    correlations: Correlations,
    model: Half,
    table: FeatureTable,
    telling: Telling,
    budget: Budget | None,
) -> Reals | None:
    """The log-odds u of each row, (n,), at the bank; None at the grid.

    The grid charges `budget` for the rows before anything of them is sent; None: nothing, or it was charged already.
    """
    if budget is not None:
        await session.compute(lambda: budget.charge(table, model.job), table.rows * 64)
    return await named(model.learner).open_scores(session, correlations, model, table, telling)

"""Joint scores to the bank, on a fixed grid, within the grid's budget. PROTOCOL.md sections 6 and 7."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from common.errors import LocalProtocolError
from common.learn.learner import Half
from common.learn.linear.half import ClosedModel, PartyModel
from common.learn.linear.score import score_shares
from common.mpc.correlations.asked import Correlations
from common.mpc.fixedpoint import Reals, decode, encode
from common.mpc.session import Kind, Session
from common.party import Party
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
    would not rank better, and would tell more of the grid's row. Of an opened model the bank's own part is not rounded.
    """
    if budget is not None:
        await session.compute(lambda: budget.charge(table, model.job), table.rows * 64)
    if isinstance(model, PartyModel):
        return await _add_parts(session, model, table, kind, bits)
    if not isinstance(model, ClosedModel):
        raise LocalProtocolError(f"no learner scores a {type(model).__name__}")
    share, held = await score_shares(session, correlations, model, table, number, bits)
    if held:
        session.reporter.warn(f"{held} values of the {session.party.value} lay beyond what scoring holds, and were held there")
    if session.party is Party.GRID:
        await session.send(kind, share)
        return None
    return decode(share + await session.receive(kind, np.uint64, (table.rows,)), bits)


async def _add_parts(session: Session, model: PartyModel, table: FeatureTable, kind: Kind, bits: int) -> Reals | None:
    """Of a model whose weights each side holds: the grid sends its part of u, rounded. One message, 8 n bytes."""
    part = await session.compute(lambda: model.partial_scores(table), table.rows * len(model.weights))
    if session.party is Party.GRID:
        await session.send(kind, encode(part, bits))
        return None
    return part + decode(await session.receive(kind, np.uint64, (table.rows,)), bits)

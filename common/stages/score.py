"""Joint scores to the bank: the grid sends its part of u, on a fixed grid, within its budget. PROTOCOL.md section 7."""

from __future__ import annotations

import numpy as np

from common.home.rowbook import Ledger
from common.learn.linear.half import PartyModel
from common.mpc.fixedpoint import Reals, decode, encode
from common.mpc.session import Kind, Session
from common.party import Party
from common.rows.table import FeatureTable


async def open_scores(
    session: Session, model: PartyModel, table: FeatureTable, kind: Kind, bits: int, book: tuple[Ledger, int] | None
) -> Reals | None:
    """u of each row, (n,), at the bank, the grid's part in steps of 2^-bits; None at the grid, which books the rows first.

    One message, 8 n bytes. A finer step would not rank better, and would tell more of the grid's row.
    """
    part = await session.compute(lambda: model.partial_scores(table), table.rows * len(model.weights))
    if session.party is Party.GRID:
        if book is not None:
            ledger, limit = book
            await session.compute(lambda: ledger.charge(table, model.job, limit), table.rows * 64)
        await session.send(kind, encode(part, bits))
        return None
    theirs = await session.receive(kind, np.uint64, (table.rows,))
    return part + decode(theirs, bits)

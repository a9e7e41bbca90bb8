"""Which rows are held out, where several banks may have one enterprise: it is on the same side at each. Section 16."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from common.mpc.prg import Purpose
from common.mpc.session import Kind, Session
from common.mpc.several.hub import BankHub
from common.rows.hashes import hash_levels
from common.rows.table import FeatureTable
from common.stages.split import Mask


async def hold_out(hub: BankHub, table: FeatureTable, share: float, check: Callable[[FeatureTable, Mask], None]) -> Mask:
    """As `draw`, told to the grid: a bit a row."""
    test = await draw(hub, table, share, check)
    await hub.line.send(Kind.SPLIT, np.packbits(test))
    return test


async def draw(hub: BankHub, table: FeatureTable, share: float, check: Callable[[FeatureTable, Mask], None]) -> Mask:
    """True (n,) for rows of enterprises that are held out, about `share` of them.

    The hash is keyed by what all banks know and the grid does not; no label enters it. check: as in `split.agree`.
    """
    key = hub.correlations.secret(Purpose.SPLIT, 8).tobytes()

    def drawn() -> Mask:
        cut = np.uint64(round(share * 2.0**53)) << np.uint64(11)
        held: Mask = (hash_levels(table.ids, key) < cut)[table.ids.codes]
        return held

    test = await hub.session.compute(drawn, table.rows * 64)
    await hub.session.compute(lambda: check(table, test), table.rows * 64)
    return test


async def told(session: Session, rows: int) -> Mask:
    """The same at the grid, of one bank's rows."""
    bits = await session.receive(Kind.SPLIT, np.uint8, (-(-rows // 8),))
    return np.unpackbits(bits, count=rows).astype(np.bool_)

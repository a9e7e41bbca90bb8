"""How many rows and columns a training has: what both sides agree on before it starts, and hold the plan against."""

from __future__ import annotations

import numpy as np

from common.errors import PeerProtocolError, PolicyError
from common.mpc.session import Kind, Session
from common.plan.train import Limits

TOO_FEW = "the matched rows are too few for the columns or for a party's floors, or hold too few labels of one class"
TOO_FEW_REMEDY = "Bring more rows, or fewer columns; each party's log says which of its floors it was."
"""What others hear, whichever of these it was."""


async def exchange_sizes(session: Session, rows: int, train_rows: int, columns: int) -> int:
    """The other's number of trained columns, after both have checked that they count the same rows.

    Raises PeerProtocolError where they do not, telling others no size.
    """
    mine = np.array([rows, train_rows, columns], np.uint64)
    theirs = await session.exchange(Kind.SHAPE, mine)
    if (mine[:2] != theirs[:2]).any():
        text = f"{session.whom} counts other rows than the other side of its line"
        raise PeerProtocolError(text, expected=mine[:2].tolist(), got=theirs[:2].tolist(), public=text)
    return int(theirs[2])


def too_few(train_rows: int, total: int, limits: Limits) -> bool:
    """Whether these rows are too few for the `total` columns of both, as both sides see it alike."""
    return train_rows < limits.rows_per_column * total


def check_sizes(train_rows: int, total: int, limits: Limits) -> None:
    """Raises PolicyError where the rows are too few for the `total` columns of both."""
    least = max(limits.min_rows, limits.rows_per_column * total)
    if train_rows < least:
        raise PolicyError(
            f"{train_rows} training rows are too few for {total} columns",
            expected=f"at least {least}",
            got=train_rows,
            remedy=TOO_FEW_REMEDY,
            public=TOO_FEW,
        )

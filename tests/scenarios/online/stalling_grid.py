"""A grid that never comes to an end with one enterprise's row: run in place of the real one.

STALLS in its environment is that row's id; IDLE is for how many seconds it waits for a request, in place of its constant.
"""

from __future__ import annotations

import asyncio
import os
from typing import Any

from common.daemon import stalled
from common.stages import asked
from grid_party.__main__ import main

_score = asked._Grid._score


async def stalls(self: asked._Grid, rows: Any, at: Any, count: int) -> None:
    if os.environ["STALLS"] in self._table.take(rows).ids.tolist():
        await asyncio.Event().wait()
    await _score(self, rows, at, count)


if __name__ == "__main__":
    asked._Grid._score = stalls  # type: ignore[method-assign]
    stalled.IDLE = float(os.environ["IDLE"])
    main()

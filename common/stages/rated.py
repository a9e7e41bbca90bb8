"""Rows that a job has counted in its client's rates ahead of what becomes of them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from common.disk.book import committed_aside
from common.home.rates import Counted
from common.home.rowsets import FEW
from common.mpc.beside import to_the_end
from common.rows.table import FeatureTable

_log = logging.getLogger(__name__)


@dataclass(frozen=True, repr=False)
class Rated:
    """What was counted. undo: takes rows off it, in its book. kept: done once what was counted is on disk."""

    undo: Callable[[Counted, FeatureTable], None]
    counted: Counted
    kept: asyncio.Future[None]

    async def give_back(self, rows: FeatureTable) -> None:
        """Those that came to nothing count no more, once it returns on disk. Raises OSError where none were counted on it."""
        await self.kept  # what stands under the number of an entry that was undone is another's
        await committed_aside(partial(self.undo, self.counted, rows), few=rows.rows <= FEW)

    async def lost(self, rows: FeatureTable) -> None:
        """The same where the job ends before it hears of them, by its cancelling too; what the disk refuses goes to the log."""
        try:
            await to_the_end(self.give_back(rows))
        except OSError:
            _log.exception("rows that came to nothing were not given back to the client's rates")

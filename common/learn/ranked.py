"""What ranking rows that are asked for takes: in the lots of one demand, of each row once."""

from __future__ import annotations

from collections.abc import Iterator

from common.learn.lots import Lot, Lots, Piece
from common.mpc.correlations.source import Source
from common.mpc.ranks.find import RankParts, take_rank_parts


class Ranks:
    """Of `rows` rows of `count` values each. blocks: the number under which each block is ranked, and its rows."""

    def __init__(self, source: Source, blocks: Iterator[tuple[int, slice]], count: int, rows: int) -> None:
        self._source, self._count, self._lots = source, count, Lots[RankParts](blocks, rows)

    async def warm(self) -> None:
        """Expands those of the next rows, which the first of them would else wait for."""
        if (lot := self._lots.ahead()) is not None:
            await self._ready(lot)

    def take(self, rows: int) -> list[Piece[RankParts]]:
        """So many rows, which nobody takes again. Raises PolicyError for more than are left."""
        return list(self._lots.take(rows))

    async def of(self, piece: Piece[RankParts]) -> RankParts:
        """What ranking these takes. It is fetched lot by lot, each after what else its rows take, as it was dealt."""
        found = (await self._ready(piece.lot)).at(piece.at)
        if piece.last:
            piece.lot.masks = None  # all of it is used
        return found

    async def _ready(self, lot: Lot[RankParts]) -> RankParts:
        if lot.masks is None:
            lot.masks = await take_rank_parts(self._source, lot.key, self._count, lot.rows)
        return lot.masks

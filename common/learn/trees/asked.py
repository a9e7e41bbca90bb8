"""Scores by trees of one table after another, of few rows each: the masks of many rows are expanded before they are asked for.

What is sent of a table is what `score` sends of it; all trees are walked through at once, as a step for each of them would take
longer than a row. PROTOCOL.md sections 14 and 19.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from common.learn.learner import Telling
from common.learn.lots import Lots, Piece
from common.learn.rounds import Later
from common.learn.trees.choose import Levels, subsets
from common.learn.trees.deal import TreeScoreDemand
from common.learn.trees.half import TreesHalf
from common.learn.trees.masks import ChoiceMasks, Short
from common.learn.trees.score import tell
from common.mpc.correlations.asked import Correlations
from common.mpc.correlations.source import Source
from common.mpc.fixedpoint import Reals
from common.mpc.narrow import Bytes, from_words
from common.mpc.session import Kind, Session
from common.rows.table import FeatureTable, Index

_PADS = 1 << 22  # pads that are expanded at a time, 8 MiB: those of 6,553 rows by 80 trees of depth 3

_Places = npt.NDArray[np.intp]


@dataclass(repr=False)
class _Masks:
    """What masks the rows of a lot: own choices and what was dealt of all, (trees, rows); pads of `window` alone.

    pads: (trees, leaves, rows of the window).
    """

    trees: list[ChoiceMasks]
    choice: Bytes
    dealt: Short
    window: slice
    pads: Short

    @classmethod
    def of(cls, source: Source, demand: TreeScoreDemand, block: int, rows: int, words: npt.NDArray[np.uint64]) -> _Masks:
        trees = [ChoiceMasks(source.prg, demand.masks(block, t), rows, demand.shape) for t in range(demand.trees)]
        dealt = from_words(words, 2 * demand.trees * rows).view(np.uint16).reshape(demand.trees, rows)
        choice = np.stack([masks.choice for masks in trees])
        found = cls(trees, choice, dealt, slice(0, 0), np.empty((0, 0, 0), np.uint16))
        found.expand(0)
        return found

    def expand(self, first: int) -> None:
        """Pads of the rows from `first` on, as many as are kept."""
        rows, leaves = self.choice.shape[1], self.trees[0].shape.leaves
        most = max(1, _PADS // (len(self.trees) * leaves))
        self.window = slice(first, min(rows, first + most))
        self.pads = np.stack([masks.pads_of(self.window) for masks in self.trees])

    def wait(self, first: int) -> int:
        """How many pads are to be made before the row at `first` can be scored."""
        return 0 if first < self.window.stop else min(_PADS, self.pads.size)

    def within(self, at: slice) -> slice:
        """The first of these rows, as many as there are pads of once they are expanded."""
        if at.start >= self.window.stop:
            self.expand(at.start)
        return slice(at.start, min(at.stop, self.window.stop))


@dataclass(frozen=True, repr=False)
class _Forest:
    """All trees of a half as its parties walk through them at once."""

    model: TreesHalf

    @cached_property
    def levels(self) -> list[Levels]:
        return [Levels.of(row >= 0) for row in self.model.splits]

    @cached_property
    def own(self) -> Bytes:
        """The bits of a path that are this party's, (trees, 1)."""
        return np.array([[level.own] for level in self.levels], np.uint8)

    @cached_property
    def other(self) -> Bytes:
        return np.array([[level.other] for level in self.levels], np.uint8)

    @cached_property
    def tables(self) -> _Places:
        """Where each tree's leaves begin in all of them as one line, (trees, 1)."""
        found: _Places = np.arange(len(self.levels), dtype=np.intp)[:, None] * self.model.leaves.shape[1]
        return found

    @cached_property
    def sent(self) -> tuple[_Places, Bytes]:
        """Of each leaf that is sent of a row: of which tree, (k,), and how its path differs from the one chosen, (k, 1)."""
        pairs = [(t, entry) for t, level in enumerate(self.levels) for entry in subsets(level.other)]
        return np.array([t for t, _ in pairs], np.intp), np.array([[entry] for _, entry in pairs], np.uint8).reshape(-1, 1)

    @cached_property
    def received(self) -> int:
        return sum(level.entries for level in self.levels)

    @cached_property
    def chosen(self) -> _Places:
        """By tree and own choice the place of the leaf among those received, (trees leaves,); the first is zero."""
        found, low = np.zeros(self.model.leaves.shape, np.intp), 0
        for row, level in zip(found, self.levels, strict=True):
            for entry in subsets(level.own):
                low += 1
                row[entry] = low
        return found.ravel()

    def packed(self, choice: Bytes) -> Bytes:
        """(trees depth, bytes): as `choose.packed_paths` packs each tree."""
        depth = self.model.shape.depth
        planes = (choice[:, None, :] >> np.arange(depth, dtype=np.uint8)[:, None]) & np.uint8(1)
        return np.packbits(planes.reshape(-1, choice.shape[1]), axis=1)

    def unpacked(self, packed: Bytes, rows: int) -> Bytes:
        """(trees, rows) of that."""
        depth = self.model.shape.depth
        planes = np.unpackbits(packed, axis=1, count=rows).reshape(-1, depth, rows)
        found: Bytes = (planes << np.arange(depth, dtype=np.uint8)[:, None]).sum(1, dtype=np.uint8)
        return found

    def offered(self, pads: Short, path: Bytes, theirs: Bytes) -> tuple[Short, Short]:
        """As `choose.offered`: what is sent of all trees, (k, rows), and the own share of what is picked, (rows,).

        pads: (trees, leaves, rows).
        """
        rows, table = pads.shape[2], self.model.leaves.ravel()
        line, at = pads.reshape(-1), np.arange(rows)
        point = theirs & self.other
        known = (theirs & ~self.other).astype(np.intp)  # the other's masks where it chooses nothing
        share: Short = table.take(self.tables + (path | point)) + line.take((self.tables + known) * rows + at)
        tree, entry = self.sent
        if not len(tree):  # all levels are this party's
            return np.empty((0, rows), np.uint16), share.sum(0, dtype=np.uint16)
        low = self.tables[tree]
        out: Short = table.take(low + (path[tree] | (entry ^ point[tree])))
        out += line.take((low + known[tree] + entry) * rows + at)
        out -= share[tree]
        return out, share.sum(0, dtype=np.uint16)

    def picked(self, choice: Bytes, received: Short, dealt: Short) -> Short:
        """As `choose.picked`, of all trees together, (rows,). received: (`received`, rows); choice and dealt: (trees, rows)."""
        rows = choice.shape[1]
        line = np.concatenate([np.zeros(rows, np.uint16), np.ascontiguousarray(received).reshape(-1)])
        place = self.chosen.take(self.tables + (choice & self.own)) * rows + np.arange(rows)
        found: Short = (line.take(place) - dealt).sum(0, dtype=np.uint16)
        return found


class Scores:
    """Scores of tables of rows to the bank, one table after another, by one half of trees that nobody holds."""

    def __init__(self, session: Session, source: Source, model: TreesHalf, demand: TreeScoreDemand, telling: Telling) -> None:
        self._session, self._source, self._model, self._demand = session, source, model, demand
        self._telling, self._forest = telling, _Forest(model)
        self._lots = Lots[_Masks](demand.blocks(), demand.rows)

    @classmethod
    async def begin(cls, session: Session, correlations: Correlations, model: TreesHalf, rows: int, telling: Telling) -> Scores:
        """For at most so many rows in all, or as many as are dealt. Nothing is exchanged."""
        demand = TreeScoreDemand(telling.number, telling.dealt or rows, *model.splits.shape)
        return cls(session, await correlations.source(demand), model, demand, telling)

    async def warm(self) -> None:
        """Expands the masks of the first rows, which the first one would else wait for."""
        if (lot := self._lots.ahead()) is not None:
            lot.masks = await self._made(lot.key, lot.rows)

    async def open(self, table: FeatureTable) -> Reals | None:
        """The log-odds u of each row, (n,), at the bank, in steps of 2^-bits; None at the grid. Three messages a lot."""
        pieces = self._lots.take(table.rows)
        path: Bytes = await self._session.compute(lambda: self._model.paths(table), self._demand.trees * table.rows)
        share: Short = np.empty(table.rows, np.uint16)
        for piece in pieces:
            share[piece.rows] = await self._piece(path[:, piece.rows], piece)
        return await tell(self._session, self._model, table, share + np.uint16(self._model.start & 0xFFFF), self._telling)

    async def ask(self, table: FeatureTable, at: Index, count: int) -> Later:
        """Rows that are asked for, of which nothing is sent before it is known which may be scored."""
        return Later(self, table, at)

    async def _made(self, block: int, rows: int) -> _Masks:
        label = self._demand.label(block)
        words = await self._source.fetch(label.kind, label.number, (-(-self._demand.trees * rows * 2 // 8),))
        return await asyncio.to_thread(_Masks.of, self._source, self._demand, block, rows, words)

    async def _piece(self, path: Bytes, piece: Piece[_Masks]) -> Short:
        """This party's share of the leaves that these rows reach, (rows,). path: its part of their paths, (trees, rows)."""
        session, forest, lot, rows = self._session, self._forest, piece.lot, piece.count
        masks = lot.masks = lot.masks or await self._made(lot.key, lot.rows)
        work = self._demand.trees * self._demand.shape.leaves * rows
        choice = masks.choice[:, piece.at]
        hidden = await session.compute(lambda: forest.packed(path ^ choice), work)
        packed = await session.exchange(Kind.MASKED_CHOICE, hidden)

        def offer() -> tuple[Bytes, Short]:
            theirs, first, parts = forest.unpacked(packed, rows), piece.at.start, list[tuple[Short, Short]]()
            while first < piece.at.stop:
                at = masks.within(slice(first, piece.at.stop))
                pads = masks.pads[:, :, at.start - masks.window.start : at.stop - masks.window.start]
                own = slice(first - piece.at.start, at.stop - piece.at.start)
                parts.append(forest.offered(pads, path[:, own], theirs[:, own]))
                first = at.stop
            out = np.ascontiguousarray(np.concatenate([out for out, _ in parts], axis=1))
            return out.view(np.uint8).reshape(-1, 2 * rows), np.concatenate([total for _, total in parts])

        offers, total = await session.compute(offer, work + masks.wait(piece.at.stop - 1))
        received = await session.exchange(Kind.MASKED_LEAVES, offers, shape=(forest.received, 2 * rows))

        def pick() -> Short:
            told = np.ascontiguousarray(received).view(np.uint16).reshape(-1, rows)
            return total + forest.picked(choice, told, masks.dealt[:, piece.at])

        found = await session.compute(pick, work)
        if piece.last:
            lot.masks = None  # all of it is used
        return found

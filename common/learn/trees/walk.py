"""Rows taken through all trees at once, some after others, by masks expanded before they are asked for. PROTOCOL.md section 14.

Of each row a party may have several versions, as to tell what leaving something out changes: they are masked apart.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np
import numpy.typing as npt

from common.learn.lots import Lot, Lots, Piece
from common.learn.trees.choose import Levels, subsets
from common.learn.trees.deal import ChoiceDemand
from common.learn.trees.half import TreesHalf
from common.learn.trees.masks import ChoiceMasks, Short
from common.mpc.correlations.source import Source
from common.mpc.narrow import Bytes, from_words, word_count
from common.mpc.session import Kind, Session

_PADS = 1 << 22  # pads that are expanded at a time, 8 MiB: those of 6,553 rows by 80 trees of depth 3

_Places = npt.NDArray[np.intp]


class WalkDemand(ChoiceDemand, Protocol):
    """A demand for rows that go through trees, some of its blocks after others."""

    @property
    def rows(self) -> int: ...

    @property
    def versions(self) -> int:
        """How often a row goes through the trees."""

    def blocks(self) -> Iterator[tuple[int, slice]]:
        """The number and the rows of each block."""


@dataclass(repr=False)
class _Masks:
    """What masks the rows of a lot: own choices and what was dealt of all, (trees, versions, rows); pads of `window` alone.

    pads: (trees, leaves, versions, rows of the window).
    """

    trees: list[ChoiceMasks]
    choice: Bytes
    dealt: Short
    window: slice
    pads: Short

    @classmethod
    def of(cls, source: Source, demand: WalkDemand, block: int, rows: int, words: npt.NDArray[np.uint64]) -> _Masks:
        wide, whole = demand.versions * rows, (demand.trees, demand.versions, rows)
        trees = [ChoiceMasks(source.prg, demand.masks(block, t), wide, demand.shape) for t in range(demand.trees)]
        dealt = from_words(words, 2 * demand.trees * wide).view(np.uint16).reshape(whole)
        choice = np.stack([masks.choice for masks in trees]).reshape(whole)
        found = cls(trees, choice, dealt, slice(0, 0), np.empty((0, 0, 0, 0), np.uint16))
        found.expand(0)
        return found

    def expand(self, first: int) -> None:
        """Pads of the rows from `first` on, as many as are kept."""
        (trees, versions, rows), leaves = self.choice.shape, self.trees[0].shape.leaves
        most = max(1, _PADS // (trees * leaves * versions))
        self.window = slice(first, min(rows, first + most))
        self.pads = np.empty((trees, leaves, versions, self.window.stop - first), np.uint16)
        # all of a tree's, also those that are not kept: a cipher begun for each leaf and version takes longer
        for pads, masks in zip(self.pads, self.trees, strict=True):
            pads[:] = masks.pads().reshape(leaves, versions, rows)[:, :, self.window]

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


class Walk:
    """One half's part in taking rows through its trees, some after others, within the rows of one demand."""

    def __init__(self, session: Session, source: Source, model: TreesHalf, demand: WalkDemand) -> None:
        self._session, self._source, self._demand, self._forest = session, source, demand, _Forest(model)
        self._lots = Lots[_Masks](demand.blocks(), demand.rows)

    async def warm(self) -> None:
        """Expands the masks of the next rows, which the first of them would else wait for."""
        if (lot := self._lots.ahead()) is not None:
            await self.ready(lot)

    async def ready(self, lot: Lot[_Masks]) -> _Masks:
        """What masks the rows of a lot, fetched now if it was not before."""
        if lot.masks is None:
            lot.masks = await self._made(lot.key, lot.rows)
        return lot.masks

    def take(self, rows: int) -> Sequence[Piece[_Masks]]:
        """Masks of rows that nobody takes again. Raises PolicyError for more than are left."""
        return self._lots.take(rows)

    async def shares(self, path: Bytes, pieces: Sequence[Piece[_Masks]]) -> Short:
        """This party's share of the leaves that rows reach, (versions, rows): two messages each way a lot.

        path: its part of their paths, (trees, versions * rows), a version after the other.
        """
        versions = self._demand.versions
        paths = path.reshape(len(path), versions, -1)
        found: Short = np.empty(paths.shape[1:], np.uint16)
        for piece in pieces:
            part = np.ascontiguousarray(paths[:, :, piece.rows]).reshape(len(path), -1)
            found[:, piece.rows] = (await self._piece(part, piece)).reshape(versions, -1)
        return found

    async def _made(self, block: int, rows: int) -> _Masks:
        label, demand = self._demand.label(block), self._demand
        words = await self._source.fetch(label.kind, label.number, (word_count(2 * demand.trees * demand.versions * rows),))
        return await asyncio.to_thread(_Masks.of, self._source, demand, block, rows, words)

    async def _piece(self, path: Bytes, piece: Piece[_Masks]) -> Short:
        """Of the rows of one lot, (versions * rows,). path: (trees, versions * rows)."""
        session, forest, lot, (trees, wide) = self._session, self._forest, piece.lot, path.shape
        masks = await self.ready(lot)
        work, versions = trees * self._demand.shape.leaves * wide, self._demand.versions
        choice = masks.choice[:, :, piece.at].reshape(path.shape)
        hidden = await session.compute(lambda: forest.packed(path ^ choice), work)
        packed = await session.exchange(Kind.MASKED_CHOICE, hidden)

        def offer() -> tuple[Bytes, Short]:
            theirs, first, parts = forest.unpacked(packed, wide), piece.at.start, list[tuple[Short, Short]]()
            own_of, theirs_of = path.reshape(trees, versions, -1), theirs.reshape(trees, versions, -1)
            while first < piece.at.stop:
                at = masks.within(slice(first, piece.at.stop))
                pads = masks.pads[:, :, :, at.start - masks.window.start : at.stop - masks.window.start]
                own = slice(first - piece.at.start, at.stop - piece.at.start)
                flat, (own_path, their_path) = (
                    (*pads.shape[:2], -1),
                    (of[:, :, own].reshape(trees, -1) for of in (own_of, theirs_of)),
                )
                out, total = forest.offered(pads.reshape(flat), own_path, their_path)
                parts.append((out.reshape(len(out), versions, -1), total.reshape(versions, -1)))
                first = at.stop
            out = np.ascontiguousarray(np.concatenate([out for out, _ in parts], axis=2))
            total = np.concatenate([total for _, total in parts], axis=1).reshape(-1)
            return out.reshape(len(out), -1).view(np.uint8).reshape(-1, 2 * wide), total

        offers, total = await session.compute(offer, work + masks.wait(piece.at.stop - 1))
        received = await session.exchange(Kind.MASKED_LEAVES, offers, shape=(forest.received, 2 * wide))

        def pick() -> Short:
            told = np.ascontiguousarray(received).view(np.uint16).reshape(-1, wide)
            return total + forest.picked(choice, told, masks.dealt[:, :, piece.at].reshape(path.shape))

        found = await session.compute(pick, work)
        if piece.last:
            lot.masks = None  # all of it is used
        return found

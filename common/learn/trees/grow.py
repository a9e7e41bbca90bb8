"""Growing a forest: trees one after the other, or some side by side from the same gradients. PROTOCOL.md section 14."""

from __future__ import annotations

import asyncio
from functools import partial

import numpy as np
import numpy.typing as npt

from common.learn.diary import Diary
from common.learn.trees import course
from common.learn.trees.forest import Forest
from common.learn.trees.masks import LINK, Labels, Short, TreeMasks, dealt_array, dealt_parts, link_words
from common.learn.trees.order import Directions
from common.learn.trees.tree import Thresholds, Tree, TreeGrower, Vectors, remask
from common.learn.trees.waves import PADDED, TERMS, link_tables
from common.mpc.correlations.source import Source
from common.mpc.fixedpoint import Words
from common.mpc.lockstep import Lockstep, Rounds
from common.mpc.narrow import BITS, MASK, Bytes, Narrow, from_words, pack, packed_size, signed, unpack
from common.mpc.session import Kind, Round, Session
from common.party import Party

_MESSAGE = 1 << 24  # bytes of masked thresholds in one message
Flags = npt.NDArray[np.bool_]


class Arrivals:
    """The parts of what is dealt for each tree, for trees side by side that ask for them by turns."""

    def __init__(self, source: Source, forest: Forest, first: int = 0) -> None:
        self._source, self._forest, self._coming = source, forest, iter(range(first, forest.shape.trees))
        self._kept: dict[Round, Words] = {}
        self._turn = asyncio.Lock()

    async def skip(self, trees: int) -> None:
        """Takes what was dealt for so many trees, the first ones, and drops it."""
        for _ in range(trees):
            await self._next()
            self._kept.clear()

    async def take(self, trees: int) -> None:
        """Takes what is dealt for so many trees more, which they are to use: where other things are dealt behind it."""
        async with self._turn:
            for _ in range(trees):
                await self._next()

    async def _next(self) -> None:
        party, forest, tree = self._source.party, self._forest, next(self._coming)
        label, shape = dealt_array(party, forest, tree)
        words, low = await self._source.fetch(label.kind, label.number, shape), 0
        for part, size in dealt_parts(party, forest, tree):
            self._kept[part] = words[low : low + size]
            low += size

    async def fetch(self, kind: Kind, number: int, shape: tuple[int, ...]) -> Words:
        """shape: as `dealt_parts` has it for this part."""
        del shape
        wanted = Round(kind, number)
        async with self._turn:
            while wanted not in self._kept:
                await self._next()
            return self._kept.pop(wanted)


class Grower:
    """One party's part of growing a forest.

    below: (thresholds, rows) uint8, 1 where a row lies at or below a threshold, or misses the value. label: at the bank,
    (rows,) of 0 and 1. start: this party's share of u before the first tree, in steps of 2^-11. real: rows that come first
    and are data. directions: of each threshold, in which one u is to go with its column; default: none. first: the tree that
    is dealt for first.
    """

    def __init__(
        self,
        session: Session,
        source: Source,
        forest: Forest,
        below: Bytes,
        label: Flags | None,
        start: int,
        real: int,
        directions: Directions | None = None,
        first: int = 0,
    ) -> None:
        self._session, self._source, self._forest, self._below, self._label = session, source, forest, below, label
        self._masks, self._labels, self._real = TreeMasks(source.prg, forest), Labels(forest), real
        self._party = session.party
        self._directions = np.zeros(len(below), np.uint8) if directions is None else directions
        self.u: Short = np.full(forest.rows, start & 0xFFFF, np.uint16)
        self._theirs = np.empty((0, forest.rows), np.int32)
        self._coming = Arrivals(source, forest, first)
        self.arrivals = Source(source.party, source.prg, self._coming.fetch)

    async def grow(self, diary: Diary) -> list[Tree]:
        """All trees, or those that are left: 6 depth + 3 rounds for as many as are grown side by side."""
        forest, found = self._forest, list[Tree]()
        if diary.begin is not None:
            before = course.grown(diary.begin, forest, forest.rows)
            found, self.u = before.trees, before.u
            await self._coming.skip(len(found))
        thresholds = await self.share_thresholds()
        for group in forest.groups():
            if group.start < len(found):
                continue
            root = await self.root(group[0])

            async def one(tree: int, rounds: Rounds, root: Vectors = root) -> tuple[Tree, Short]:
                return await TreeGrower(rounds, self.arrivals, forest, thresholds, tree).grow(root)

            for tree, leaf in await Lockstep(self._session, len(group)).run([partial(one, tree) for tree in group]):
                found.append(tree)
                self.u += leaf
            await course.enter(diary, forest, course.Grown(found, self.u))
            self._session.reporter.progress(group.stop, forest.shape.trees)
        return found

    async def share_thresholds(self) -> Thresholds:
        """Each sends its thresholds' rows, masked: once, 2.75 bytes a threshold and row."""
        rows, session = self._forest.rows, self._session
        each = packed_size(rows)
        step = max(1, _MESSAGE // each)
        own, other = self._forest.count(self._party), self._forest.count(self._party.other)
        self._theirs = np.empty((other, rows), np.int32)

        def hidden(low: int) -> Bytes:
            part = range(low, min(own, low + step))
            return np.stack([pack(self._below[k].astype(np.uint32) - self._masks.threshold(k)) for k in part])

        def keep(low: int, received: Bytes) -> None:
            for k, row in enumerate(received, low):
                self._theirs[k] = signed(unpack(row, (rows,)))

        for low in range(0, max(own, other), step):
            if low < own:
                await session.post(Kind.MASKED_THRESHOLDS, await session.compute(partial(hidden, low), step * rows))
            if low < other:
                shape = (min(other, low + step) - low, each)
                received = await session.collect(Kind.MASKED_THRESHOLDS, np.uint8, shape)
                await session.compute(partial(keep, low, received), step * rows)
        return Thresholds(self._below, self._theirs, self._directions)

    async def root(self, tree: int) -> Vectors:
        """The root's vectors for the trees side by side of which this is the first."""
        share, mine = await self._gradients(tree), self._masks.nodes(tree, 0)
        seen = await remask(self._session, share[None], mine)
        return Vectors(seen, mine, seen, mine)

    async def take(self, trees: int) -> None:
        """Takes what is dealt for so many trees more: see `Arrivals.take`."""
        await self._coming.take(trees)

    async def _gradients(self, tree: int) -> Narrow:
        """A share of (g, h), (2, rows), g = p - y and h = p (1 - p), rounded at random; of zeros where rows are none."""
        forest, party = self._forest, self._party
        rows = forest.rows
        mine = self.u - self._masks.angle(tree)
        await self._session.post(Kind.MASKED_U, _bytes(mine))
        await asyncio.sleep(0)  # it leaves, and what follows is done while the other's comes
        label = self._labels.of(tree, 0, LINK)
        words = await self.arrivals.fetch(label.kind, label.number, (link_words(forest),))
        dealt = from_words(words, 4 * rows * TERMS).view(np.uint32).reshape(rows, TERMS)

        def joined() -> Narrow:
            both = [dealt, self._masks.link(tree)]  # at the grid cosines are dealt
            return np.concatenate(both if party is Party.GRID else both[::-1], 1)

        cells = await self._session.compute(joined, rows * TERMS)
        opened = mine + (await self._session.collect(Kind.MASKED_U, np.uint8, (2 * rows,))).view(np.uint16)

        def shares() -> Narrow:
            factors = link_tables(forest.g_bits).factors.take(opened, 0)
            out = np.empty((2, rows), np.uint32)
            for total, low in zip(out, (0, 2 * TERMS), strict=True):
                np.einsum("nj,nj->n", cells, factors[:, low : low + 2 * TERMS], out=total)
            if self._label is not None:
                one = 1 << (forest.g_bits + PADDED - BITS)
                out[0] += np.where(self._label, np.uint32(-one // 2 & 0xFFFFFFFF), np.uint32(one // 2))
            # the upper bits of two shares add up to the upper bits of their sum, or one less: at random, without bias
            out >>= np.uint32(PADDED - BITS)
            if party is Party.BANK:
                out += np.uint32(1)
            out[:, self._real :] = 0
            return out & MASK

        return await self._session.compute(shares, rows * TERMS)


def _bytes(values: Short) -> Bytes:
    return np.ascontiguousarray(values).view(np.uint8)

"""Growing symmetric trees on both parties' thresholds, on shares. PROTOCOL.md section 14.

A level splits every node by the same threshold, so a row's place in a tree is a path of which each party knows the bits of its
own levels. Neither sees the other's, a sum over rows, a gain or a leaf: only who splits a level, and its owner by what.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from common.learn.trees.choose import Levels, hidden_choice, offered, packed_paths, picked, unpacked_paths
from common.learn.trees.forest import U_SCALE, Forest, children
from common.learn.trees.masks import (
    CHOICE,
    LEAVES,
    LINK,
    MOMENTS,
    MOVE,
    ChoiceMasks,
    Labels,
    Short,
    TreeMasks,
    gain_shape,
    leaf_shape,
    link_words,
    moved_words,
)
from common.learn.trees.waves import (
    LEAF_FACTOR,
    LEAF_TABLE,
    LIFT,
    PADDED,
    TERMS,
    Half,
    gain_inverse,
    gain_share,
    leaf_inverse,
    leaf_share,
    link_tables,
)
from common.mpc.correlations.source import Source
from common.mpc.fixedpoint import Words
from common.mpc.largest.find import find_largest
from common.mpc.largest.masks import LOW
from common.mpc.narrow import BITS, MASK, Bytes, Narrow, from_words, pack, packed_size, product, signed, unpack
from common.mpc.session import Kind, Session
from common.party import Party

_CUT = 36  # bits dropped of a gain before gains are compared
_MESSAGE = 1 << 24  # bytes of masked thresholds in one message
Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True, repr=False)
class Tree:
    """One tree at one party: the threshold by which it splits each level, -1 where the other does, and shares of the leaves."""

    splits: tuple[int, ...]
    leaves: Short


@dataclass(repr=False)
class _Vectors:
    """The shared (g, h) of every node, (v, 2, rows): less the other's mask, as this party sees it, and its own mask.

    left: the same of the children that histograms are made of.
    """

    seen: Narrow
    mine: Narrow
    left_seen: Narrow
    left_mine: Narrow


@dataclass(repr=False)
class _Level:
    """What a tree's levels hand on: histograms (v, 2, C), totals (v, 2)."""

    sums: Narrow = field(default_factory=lambda: np.empty(0, np.uint32))
    totals: Narrow = field(default_factory=lambda: np.empty(0, np.uint32))


class Grower:
    """One party's part of growing a forest.

    below: (thresholds, rows) uint8, 1 where a row lies at or below a threshold, or misses the value. label: at the bank,
    (rows,) of 0 and 1. start: this party's share of u before the first tree, in steps of 2^-11. real: rows that come first
    and are data.
    """

    def __init__(
        self, session: Session, source: Source, forest: Forest, below: Bytes, label: Flags | None, start: int, real: int
    ) -> None:
        self._session, self._source, self._forest, self._below, self._label = session, source, forest, below, label
        self._masks, self._labels, self._real = TreeMasks(source.prg, forest), Labels(forest), real
        self._party = session.party
        self._u: Short = np.full(forest.rows, start & 0xFFFF, np.uint16)
        self._theirs = np.empty((0, forest.rows), np.int32)

    async def grow(self) -> list[Tree]:
        """All trees, one after the other: 6 depth + 4 rounds each."""
        await self._share_thresholds()
        found = []
        for tree in range(self._forest.shape.trees):
            found.append(await self._tree(tree))
            self._session.reporter.progress(tree + 1, self._forest.shape.trees)
        return found

    async def _share_thresholds(self) -> None:
        """Each sends its thresholds' rows, masked: once, 2.75 bytes a threshold and row."""
        rows, session = self._forest.rows, self._session
        each = packed_size(rows)
        step = max(1, _MESSAGE // each)
        own, other = self._forest.count(self._party), self._forest.count(self._party.other)
        self._theirs = np.empty((other, rows), np.int32)

        def hidden(low: int) -> Bytes:
            part = range(low, min(own, low + step))
            return np.stack([pack((self._below[k].astype(np.uint32) - self._masks.threshold(k)) & MASK) for k in part])

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

    async def _tree(self, tree: int) -> Tree:
        forest, depth = self._forest, self._forest.shape.depth
        drawn = forest.drawn(tree)
        own, other = drawn[self._party], drawn[self._party.other]
        own_cells, other_cells = self._below[own].astype(np.float64), self._theirs[other].astype(np.float64)
        vectors = await self._start(tree, await self._gradients(tree))
        state, path = _Level(), np.zeros(forest.rows, np.uint8)
        splits: list[int] = []
        for level in range(depth):
            add_up = partial(self._add_up, state, vectors, own_cells, other_cells, level)
            await self._session.compute(add_up, self._work(level))
            gains = await self._gains(tree, level, state)
            best = await self._best(tree, level, gains, len(drawn[Party.GRID]))
            mine = best is not None
            splits.append(int(own[best - (0 if self._party is Party.GRID else len(other))]) if best is not None else -1)
            branch = await self._branch(tree, level, splits[-1])
            if mine:
                path |= np.uint8(1 << (depth - 1 - level)) * (1 - self._below[splits[-1]])
            vectors = await self._move(tree, level, mine, branch, vectors, state)
        table = await self._leaves(tree, state)
        levels = Levels.of(np.array(splits) >= 0)
        self._u += await self._choose(tree, levels, table, path)
        return Tree(tuple(splits), table)

    def _work(self, level: int) -> int:
        return self._forest.rows * (2 << level) * 4

    async def _gradients(self, tree: int) -> Narrow:
        """A share of (g, h), (2, rows), g = p - y and h = p (1 - p), rounded at random; of zeros where rows are none."""
        forest, party = self._forest, self._party
        rows = forest.rows
        mine = self._u - self._masks.angle(tree)
        opened = mine + (await self._session.exchange(Kind.MASKED_U, _bytes(mine))).view(np.uint16)
        label = self._labels.of(tree, 0, LINK)
        words = await self._source.fetch(label.kind, label.number, (link_words(forest),))

        def shares() -> Narrow:
            dealt = from_words(words, 4 * rows * TERMS).view(np.uint32).reshape(rows, TERMS)
            seeded, tables = self._masks.link(tree), link_tables(forest.g_bits)
            out = np.empty((2, rows), np.uint32)
            for total, factors in zip(out, (tables.g, tables.h), strict=True):
                total[:] = _dot(dealt, factors[party.index], opened) + _dot(seeded, factors[1 - party.index], opened)
            if self._label is not None:
                one = 1 << (forest.g_bits + PADDED - BITS)
                out[0] += np.where(self._label, np.uint32(-one // 2 & 0xFFFFFFFF), np.uint32(one // 2))
            # the upper bits of two shares add up to the upper bits of their sum, or one less: at random, without bias
            out >>= np.uint32(PADDED - BITS)
            if party is Party.BANK:
                out += np.uint32(1)
            out[:, self._real :] = 0
            return out & MASK

        return await self._session.compute(shares, 4 * rows * TERMS)

    async def _start(self, tree: int, share: Narrow) -> _Vectors:
        mine = self._masks.nodes(tree, 0)
        seen = await self._remask(share[None], mine)
        return _Vectors(seen, mine, seen, mine)

    async def _remask(self, share: Narrow, mine: Narrow) -> Narrow:
        """Exchanges shares of vectors, each less its owner's mask: what this party sees, less the other's."""
        hidden = await self._session.compute(lambda: pack((share - mine) & MASK), share.size)
        theirs = await self._session.exchange(Kind.MASKED_NODES, hidden)
        return await self._session.compute(lambda: (share + unpack(theirs, share.shape)) & MASK, share.size)

    def _add_up(
        self, state: _Level, vectors: _Vectors, own: npt.NDArray[np.float64], other: npt.NDArray[np.float64], level: int
    ) -> None:
        """Shares of the histograms, off by what the dealer knows, and of the totals."""
        parts = [_histograms(own, vectors.left_seen), _histograms(other, vectors.left_mine)]
        left = np.concatenate(parts if self._party is Party.GRID else parts[::-1], axis=2)
        state.sums = left if level == 0 else children(left, state.sums, MASK)
        side = vectors.seen if self._party is Party.GRID else vectors.mine  # what the grid sees and the bank's mask add up
        state.totals = side.sum(2, dtype=np.uint32) & MASK

    async def _gains(self, tree: int, level: int, state: _Level) -> Words:
        """A share of each candidate's gain, (C,)."""
        forest, party = self._forest, self._party
        masks = self._masks.sums(tree, level)
        sums, totals = state.sums - masks[0], state.totals - masks[1]
        if party is Party.BANK:
            sums[:, 0] += LIFT
            totals[:, 0] += LIFT
        mine = np.concatenate([sums.ravel(), totals.ravel()]) & MASK
        theirs = unpack(await self._session.exchange(Kind.MASKED_SUMS, pack(mine)), mine.shape)
        opened = (mine + theirs) & MASK
        shape = gain_shape(forest, level)
        shares = await self._dealt_or_own(tree, level, MOMENTS, shape, partial(self._masks.moments, tree, level))
        cut = sums.size
        left, total = opened[:cut].reshape(sums.shape), opened[cut:].reshape(totals.shape)
        coefficients = gain_inverse(forest.ridge)
        return await self._session.compute(lambda: gain_share(left, total, shares, coefficients), shares.size)

    async def _dealt_or_own(self, tree: int, level: int, step: int, shape: tuple[int, ...], own: Callable[[], Words]) -> Words:
        if self._forest.to(tree, level) is not self._party:
            return own()
        label = self._labels.of(tree, level, step)
        words = await self._source.fetch(label.kind, label.number, (int(np.prod(shape)),))
        return words.reshape(shape)

    async def _best(self, tree: int, level: int, gains: Words, grids: int) -> int | None:
        """The candidate of the largest gain if it is this party's, else None."""
        cut = (gains >> np.uint64(_CUT)).astype(np.uint32) & LOW
        number, to = self._forest.number(tree, level), self._forest.to(tree, level)
        return await find_largest(self._session, self._source, number, cut, grids, to, Kind.SPLIT_TESTS)

    async def _branch(self, tree: int, level: int, split: int) -> Narrow:
        """Which rows go left, (rows,): of the party that splits in clear, at the other under its mask."""
        if split < 0:
            packed = await self._session.receive(Kind.MASKED_BRANCH, np.uint8, (packed_size(self._forest.rows),))
            return unpack(packed, (self._forest.rows,))
        below: Narrow = self._below[split].astype(np.uint32)
        await self._session.send(Kind.MASKED_BRANCH, pack((below - self._masks.branch(tree, level)) & MASK))
        return below

    async def _move(self, tree: int, level: int, mine: bool, branch: Narrow, vectors: _Vectors, state: _Level) -> _Vectors:
        """The children's vectors; after the last level only their sums, as totals of `state`."""
        forest, last = self._forest, level == self._forest.shape.depth - 1
        label = self._labels.of(tree, level, MOVE)
        words = await self._source.fetch(label.kind, label.number, (moved_words(forest, level),))
        shape = (1 << level, 2) if last else (1 << level, 2, forest.rows)

        def share() -> Narrow:
            moved: Any = branch * (vectors.seen if mine else vectors.mine)
            if last:
                moved = moved.sum(2, dtype=np.uint32)
            if mine:
                moved += unpack(from_words(words, packed_size(int(np.prod(shape)))), shape)
            else:
                moved += self._masks.move(tree, level)
            found: Narrow = moved & MASK
            return found

        left = await self._session.compute(share, vectors.seen.size)
        if last:
            state.totals = children(left, state.totals, MASK)
            return vectors
        hidden = self._masks.nodes(tree, level + 1)
        seen = await self._remask(left, hidden)
        return _Vectors(children(seen, vectors.seen, MASK), children(hidden, vectors.mine, MASK), seen, hidden)

    async def _leaves(self, tree: int, state: _Level) -> Short:
        """A share of the leaves' values, (leaves,) in steps of 2^-11 modulo 2^16: nobody sees their sum."""
        forest = self._forest
        mine = state.totals - self._masks.leaves(tree)
        if self._party is Party.BANK:
            mine[:, 0] += LIFT
        mine &= MASK
        theirs = unpack(await self._session.exchange(Kind.MASKED_SUMS, pack(mine)), mine.shape)
        depth, shape = forest.shape.depth, leaf_shape(forest)
        shares = await self._dealt_or_own(tree, depth, LEAVES, shape, partial(self._masks.leaf_moments, tree))
        scale = -forest.rate / (forest.leaf_ridge * forest.most_h) * 2.0 ** (U_SCALE - forest.g_bits)
        value = leaf_share((mine + theirs) & MASK, shares, leaf_inverse(forest.leaf_ridge), scale)
        share = (value >> np.uint64(LEAF_TABLE + LEAF_FACTOR)).astype(np.uint16)
        return share + np.uint16(self._party is Party.BANK)  # two shares rounded down are one step low on average

    async def _choose(self, tree: int, levels: Levels, table: Short, path: Bytes) -> Short:
        """A share of each row's leaf, (rows,)."""
        forest, session = self._forest, self._session
        rows, depth = forest.rows, forest.shape.depth
        masks = ChoiceMasks(self._source.prg, tree, rows, forest.shape)
        theirs = unpacked_paths(
            await session.exchange(Kind.MASKED_CHOICE, packed_paths(hidden_choice(masks, path), depth)), rows
        )
        out, share = await session.compute(lambda: offered(masks, levels, table, path, theirs), rows * forest.shape.leaves)
        received = await exchange_leaves(session, out, levels.entries, rows)
        label = self._labels.of(tree, depth, CHOICE)
        words = await self._source.fetch(label.kind, label.number, (masks.dealt,))
        dealt = from_words(words, 2 * rows).view(np.uint16)
        return share + await session.compute(lambda: picked(masks, levels, received, dealt), rows)


async def exchange_leaves(session: Session, out: Short, entries: int, rows: int) -> Short:
    """Exchanges masked leaves: those sent, (sent, rows), for (entries, rows); 2 bytes each."""
    mine = np.ascontiguousarray(out).view(np.uint8).reshape(out.shape[0], 2 * rows)
    received = await session.exchange(Kind.MASKED_LEAVES, mine, shape=(entries, 2 * rows))
    return np.ascontiguousarray(received).view(np.uint16).reshape(entries, rows)


def _bytes(values: Short) -> Bytes:
    return np.ascontiguousarray(values).view(np.uint8)


def _dot(shares: Half, factors: Half, opened: Short) -> Half:
    """Of each row its shares (rows, TERMS) times the factors of its opened angle, added up, modulo 2^32."""
    found: Half = np.einsum("nj,nj->n", shares, factors.take(opened, 0))
    return found


def _histograms(cells: npt.NDArray[np.float64], vectors: Narrow) -> Narrow:
    """(v, 2, C) of vectors (v, 2, rows)."""
    found = product(cells, vectors.reshape(-1, vectors.shape[2]))
    return found.reshape(*vectors.shape[:2], len(cells))

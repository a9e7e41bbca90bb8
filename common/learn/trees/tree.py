"""Growing one symmetric tree on both parties' thresholds, on shares. PROTOCOL.md section 14.

A level splits every node by the same threshold, so a row's place in a tree is a path of which each party knows the bits of its
own levels. Neither sees the other's, a sum over rows, a gain or a leaf: only who splits a level, and its owner by what.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Any

import numpy as np
import numpy.typing as npt

from common.errors import PeerProtocolError
from common.learn.trees.choose import Levels, hidden_choice, offered, packed_paths, picked, unpacked_paths
from common.learn.trees.forest import U_SCALE, Forest, children
from common.learn.trees.masks import (
    CHOICE,
    LEAVES,
    MOMENTS,
    MOVE,
    ORDER,
    ChoiceMasks,
    Labels,
    Short,
    TreeMasks,
    gain_shape,
    leaf_shape,
    moved_words,
    order_words,
)
from common.learn.trees.order import NONE, Directions, OrderMasks, agreed, level_shares, put_in_order
from common.learn.trees.waves import LEAF_FACTOR, LEAF_TABLE, LIFT, gain_inverse, gain_share, leaf_inverse, leaf_share
from common.mpc.correlations.source import Source
from common.mpc.fixedpoint import Words
from common.mpc.largest.find import find_largest
from common.mpc.largest.masks import LOW
from common.mpc.lockstep import Rounds
from common.mpc.narrow import MASK, Bytes, Narrow, from_words, pack, packed_size, product, sums, unpack
from common.mpc.session import Kind
from common.party import Party

_CUT = 36  # bits dropped of a gain before gains are compared
_NOTHING = np.empty(0, np.uint8)
_OWNER = "a level of a tree is to be split by one party, and both or neither took it for their own"
_OTHER_WORD = "A word of what they sent or were dealt is another: submit the job again; `wattscore audit` tells of the dealer."


@dataclass(frozen=True, repr=False)
class Tree:
    """One tree at one party: the threshold by which it splits each level, -1 where the other does, and shares of the leaves."""

    splits: tuple[int, ...]
    leaves: Short


@dataclass(repr=False)
class Vectors:
    """The shared (g, h) of every node, (v, 2, rows): less the other's mask, as this party sees it, and its own mask.

    left: the same of the children that histograms are made of.
    """

    seen: Narrow
    mine: Narrow
    left_seen: Narrow
    left_mine: Narrow


@dataclass(repr=False)
class Level:
    """What a tree's levels hand on: histograms (v, 2, C), totals (v, 2)."""

    sums: Narrow = field(default_factory=lambda: np.empty(0, np.uint32))
    totals: Narrow = field(default_factory=lambda: np.empty(0, np.uint32))


@dataclass(frozen=True, repr=False)
class Thresholds:
    """own: (thresholds, rows) uint8, 1 where a row lies at or below. theirs: the other's, less its masks, int32.

    directions: of each own threshold, in which one the leaves are to be in order.
    """

    own: Bytes
    theirs: npt.NDArray[np.int32]
    directions: Directions


class TreeGrower:
    """One party's part of growing this tree of the forest, with rounds that may be a lane beside other trees'."""

    def __init__(self, rounds: Rounds, source: Source, forest: Forest, thresholds: Thresholds, tree: int) -> None:
        self._rounds, self._source, self._forest, self._thresholds, self._tree = rounds, source, forest, thresholds, tree
        self._masks, self._labels, self._party = TreeMasks(source.prg, forest), Labels(forest), rounds.party

    async def grow(self, vectors: Vectors) -> tuple[Tree, Short]:
        """The tree, and a share of each row's leaf, (rows,). vectors: the root's."""
        forest, depth = self._forest, self._forest.shape.depth
        state, path = Level(), np.zeros(forest.rows, np.uint8)
        splits: list[int] = []
        for level in range(depth):
            left, state.totals = await self.add_up(vectors, level)
            state.sums = left if level == 0 else children(left, state.sums)
            splits.append(await self.split(level, state))
            path |= self.side(level, splits[-1])
            vectors = await self.move(level, splits[-1], vectors, state)
        owned = np.array(splits) >= 0
        table, theirs = await self._leaves(state, path)
        if forest.monotone:
            table = await self.ordered(table, splits)
        return Tree(tuple(splits), table), await self.choose(Levels.of(owned), table, path, theirs)

    async def add_up(self, vectors: Vectors, level: int) -> tuple[Narrow, Narrow]:
        """Shares of left children's histograms, (v, 2, C), off by what the dealer knows, and of all nodes' totals, (v, 2)."""

        def added() -> tuple[Narrow, Narrow]:
            own, other = self._cells
            parts = [_histograms(own, vectors.left_seen), _histograms(other, vectors.left_mine)]
            left = np.concatenate(parts if self._party is Party.GRID else parts[::-1], axis=2)
            side = vectors.seen if self._party is Party.GRID else vectors.mine  # what the grid sees and the bank's mask add up
            return left, side.sum(2, dtype=np.uint32) & MASK

        return await self._rounds.compute(added, self._forest.rows * (2 << level))

    @cached_property
    def _cells(self) -> tuple[Bytes, npt.NDArray[np.float64]]:
        """This tree's candidates: own rows of them, and the other's less its masks."""
        drawn = self._forest.drawn(self._tree)
        other = self._thresholds.theirs[drawn[self._party.other]].astype(np.float64)
        return self._thresholds.own[drawn[self._party]], other

    async def split(self, level: int, state: Level) -> int:
        """The threshold of this party by which the level is split, -1 where the other party splits it."""
        drawn = self._forest.drawn(self._tree)
        best = await self._best(level, await self._gains(level, state), len(drawn[Party.GRID]))
        if best is None:
            return -1
        return int(drawn[self._party][best - (0 if self._party is Party.GRID else len(drawn[Party.GRID]))])

    def side(self, level: int, split: int) -> Bytes:
        """The bit of each row's path that is of this level, (rows,), where this party splits it; else zeros."""
        if split < 0:
            return np.zeros(self._forest.rows, np.uint8)
        found: Bytes = np.uint8(1 << (self._forest.shape.depth - 1 - level)) * (1 - self._thresholds.own[split])
        return found

    async def _gains(self, level: int, state: Level) -> Words:
        """A share of each candidate's gain, (C,)."""
        forest, party = self._forest, self._party
        masks = self._masks.sums(self._tree, level)
        sums, totals = state.sums - masks[0], state.totals - masks[1]
        if party is Party.BANK:
            sums[:, 0] += LIFT
            totals[:, 0] += LIFT
        mine = np.concatenate([sums.ravel(), totals.ravel()]) & MASK
        theirs = unpack(await self._rounds.exchange(Kind.MASKED_SUMS, pack(mine)), mine.shape)
        opened = (mine + theirs) & MASK
        shape = gain_shape(forest, level)
        shares = await self._dealt_or_own(level, MOMENTS, shape, partial(self._masks.moments, self._tree, level))
        cut = sums.size
        left, total = opened[:cut].reshape(sums.shape), opened[cut:].reshape(totals.shape)
        coefficients = gain_inverse(forest.ridge)
        return await self._rounds.compute(lambda: gain_share(left, total, shares, coefficients), shares.size)

    async def _dealt_or_own(self, level: int, step: int, shape: tuple[int, ...], own: Callable[[], Words]) -> Words:
        if self._forest.to(self._tree, level) is not self._party:
            return own()
        label = self._labels.of(self._tree, level, step)
        words = await self._source.fetch(label.kind, label.number, (int(np.prod(shape)),))
        return words.reshape(shape)

    async def _best(self, level: int, gains: Words, grids: int) -> int | None:
        """The candidate of the largest gain if it is this party's, else None."""
        cut = (gains >> np.uint64(_CUT)).astype(np.uint32) & LOW
        number, to = self._forest.number(self._tree, level), self._forest.to(self._tree, level)
        return await find_largest(self._rounds, self._source, number, cut, grids, to, Kind.SPLIT_TESTS)

    async def _branch(self, level: int, split: int) -> Narrow:
        """Which rows go left, (rows,): of the party that splits in clear, at the other under its mask.

        The bank sends no rows where the grid splits: so a level that neither takes for its own, or both do, is found out here,
        and they do not wait for each other.
        """
        rows, rounds, kind = self._forest.rows, self._rounds, Kind.MASKED_BRANCH
        bank, size = rounds.party is Party.BANK, packed_size(rows)
        try:
            if split < 0:
                took = rounds.exchange(kind, _NOTHING, shape=(size,)) if bank else rounds.receive(kind, np.uint8, (size,))
                return unpack(await took, (rows,))
            below: Narrow = self._thresholds.own[split].astype(np.uint32)
            hidden = pack(below - self._masks.branch(self._tree, level))
            await (rounds.send(kind, hidden) if bank else rounds.exchange(kind, hidden, shape=_NOTHING.shape))
        except PeerProtocolError as error:
            raise PeerProtocolError(
                _OWNER, remedy=_OTHER_WORD, round=error.round, expected=error.expected, got=error.got
            ) from error
        return below

    async def move(self, level: int, split: int, vectors: Vectors, state: Level) -> Vectors:
        """The children's vectors; after the last level only their sums, as totals of `state`. split: of this party, or -1."""
        mine, branch = split >= 0, await self._branch(level, split)
        forest, last = self._forest, level == self._forest.shape.depth - 1
        label = self._labels.of(self._tree, level, MOVE)
        words = await self._source.fetch(label.kind, label.number, (moved_words(forest, level),))
        shape = (1 << level, 2) if last else (1 << level, 2, forest.rows)

        def share() -> Narrow:
            hidden = vectors.seen if mine else vectors.mine
            moved: Any = sums(branch, hidden) if last else branch * hidden
            if mine:
                moved += unpack(from_words(words, packed_size(int(np.prod(shape)))), shape)
            else:
                moved += self._masks.move(self._tree, level)
            found: Narrow = moved
            return found

        left = await self._rounds.compute(share, vectors.seen.size)
        if last:
            state.totals = children(left, state.totals)
            return vectors
        hidden = self._masks.nodes(self._tree, level + 1)
        seen = await remask(self._rounds, left, hidden)
        return Vectors(children(seen, vectors.seen), children(hidden, vectors.mine), seen, hidden)

    async def _leaves(self, state: Level, path: Bytes) -> tuple[Short, Bytes]:
        """A share of the leaves' values, (leaves,) in steps of 2^-11 modulo 2^16, and the other's hidden choice, (rows,).

        Nobody sees the values. Choices travel with what is opened of the leaves, which saves a round.
        """
        mine = self._hidden_leaves(state)
        choice = self.packed_choice(path)
        received = await self._rounds.exchange(Kind.MASKED_CHOICE, np.concatenate([choice.ravel(), pack(mine)]))
        chosen = unpacked_paths(received[: choice.size].reshape(choice.shape), self._forest.rows)
        return await self._leaf_values(mine, unpack(received[choice.size :], mine.shape)), chosen

    async def leaves(self, state: Level) -> Short:
        """A share of the leaves' values, (leaves,), where no rows are: see `_leaves`."""
        mine = self._hidden_leaves(state)
        theirs = await self._rounds.exchange(Kind.MASKED_SUMS, pack(mine))
        return await self._leaf_values(mine, unpack(theirs, mine.shape))

    def _hidden_leaves(self, state: Level) -> Narrow:
        mine = state.totals - self._masks.leaves(self._tree)
        if self._party is Party.BANK:
            mine[:, 0] += LIFT
        return mine & MASK

    def packed_choice(self, path: Bytes) -> Bytes:
        """What the other is sent of own bits of each row's path: hidden, (depth, bytes)."""
        return packed_paths(hidden_choice(self._choice(), path), self._forest.shape.depth)

    async def _leaf_values(self, mine: Narrow, theirs: Narrow) -> Short:
        forest = self._forest
        shape = leaf_shape(forest)
        shares = await self._dealt_or_own(forest.shape.depth, LEAVES, shape, partial(self._masks.leaf_moments, self._tree))
        scale = -forest.rate / (forest.leaf_ridge * forest.most_h) * 2.0 ** (U_SCALE - forest.g_bits)
        value = leaf_share((mine + theirs) & MASK, shares, leaf_inverse(forest.leaf_ridge), scale)
        share = (value >> np.uint64(LEAF_TABLE + LEAF_FACTOR)).astype(np.uint16)
        return share + np.uint16(self._party is Party.BANK)  # two shares rounded down are one step low on average

    def _choice(self) -> ChoiceMasks:
        return ChoiceMasks(self._source.prg, self._tree, self._forest.rows, self._forest.shape)

    async def ordered(self, table: Short, splits: list[int]) -> Short:
        """The leaves in order of the columns that their owners declared monotone."""
        owned = np.array(splits) >= 0
        forest, prg, depth = self._forest, self._source.prg, self._forest.shape.depth
        own = np.where(owned, self._thresholds.directions[np.array(splits)], NONE).astype(np.uint8)
        directions = await agreed(self._rounds, own, owned)
        masks = [OrderMasks(prg, forest, self._tree, level) for level in range(depth)]
        if forest.to(self._tree, depth) is self._party:
            label = self._labels.of(self._tree, depth, ORDER)
            dealt = level_shares(await self._source.fetch(label.kind, label.number, (order_words(forest),)), forest)
        else:
            dealt = [mask.dealt() for mask in masks]
        return await put_in_order(self._rounds, masks, dealt, table, directions)

    async def choose(self, levels: Levels, table: Short, path: Bytes, theirs: Bytes) -> Short:
        """A share of each row's leaf, (rows,). theirs: the other's hidden choice."""
        forest, rounds, masks = self._forest, self._rounds, self._choice()
        rows, depth = forest.rows, forest.shape.depth
        out, share = await rounds.compute(lambda: offered(masks, levels, table, path, theirs), rows * forest.shape.leaves)
        received = await exchange_leaves(rounds, out, levels.entries, rows)
        label = self._labels.of(self._tree, depth, CHOICE)
        words = await self._source.fetch(label.kind, label.number, (masks.dealt,))
        dealt = from_words(words, 2 * rows).view(np.uint16)
        return share + await rounds.compute(lambda: picked(masks, levels, received, dealt), rows)


async def remask(rounds: Rounds, share: Narrow, mine: Narrow) -> Narrow:
    """Exchanges shares of vectors, each less its owner's mask: what this party sees, less the other's."""
    hidden = await rounds.compute(lambda: pack(share - mine), share.size)
    theirs = await rounds.exchange(Kind.MASKED_NODES, hidden)

    def put_together() -> Narrow:
        found = unpack(theirs, share.shape)
        found += share
        return found

    return await rounds.compute(put_together, share.size)


async def exchange_leaves(rounds: Rounds, out: Short, entries: int, rows: int) -> Short:
    """Exchanges masked leaves: those sent, (sent, rows), for (entries, rows); 2 bytes each."""
    mine = np.ascontiguousarray(out).view(np.uint8).reshape(out.shape[0], 2 * rows)
    received = await rounds.exchange(Kind.MASKED_LEAVES, mine, shape=(entries, 2 * rows))
    return np.ascontiguousarray(received).view(np.uint16).reshape(entries, rows)


def _histograms(cells: npt.NDArray[np.float64] | Bytes, vectors: Narrow) -> Narrow:
    """(v, 2, C) of vectors (v, 2, rows)."""
    found = product(cells, vectors.reshape(-1, vectors.shape[2]))
    return found.reshape(*vectors.shape[:2], len(cells))

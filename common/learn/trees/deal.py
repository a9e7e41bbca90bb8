"""What the dealer deals for boosted trees: every step run on the masks alone. PROTOCOL.md section 14.

Which party splits a level is not told to the dealer: it deals either what it would need, so that all of it is known beforehand.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import numpy.typing as npt

from common.errors import PeerProtocolError
from common.learn.trees.choose import placed
from common.learn.trees.forest import Forest, Shape, children
from common.learn.trees.masks import CHOICE, LEAVES, LINK, MOMENTS, MOVE, ORDER, ChoiceMasks, Labels, TreeMasks, dealt_array
from common.learn.trees.order import OrderMasks, as_dealt, deal_order
from common.learn.trees.waves import GAIN_TABLE, GAIN_TERMS, LEAF_TABLE, LEAF_TERMS, both_sides, link_tables, moments
from common.mpc.dealer import Dealt, Prgs
from common.mpc.largest.dealer import deal_largest
from common.mpc.narrow import MASK, Narrow, as_words, pack, product, sums, word_count
from common.mpc.session import Array, Kind, Round
from common.party import Party
from common.plan.trees import MOST_DEPTH, MOST_TREES

Cells = npt.NDArray[np.float64]

MOST_ROWS, MOST_SCORINGS = 1 << 20, 256
_FIRST, _BLOCK_BITS, _TREE_BITS = 1 << 48, 24, 16
BLOCK_ROWS = 1 << 14  # rows scored together


@dataclass(frozen=True)
class TreesDemand:
    """Asks the dealer for all that a training of boosted trees consumes; the plan says the rest.

    grid_columns, bank_columns: thresholds of each side.
    """

    rows: int
    grid_columns: int
    bank_columns: int


@dataclass(frozen=True)
class TreeScoreDemand:
    """Asks the dealer for the scoring of `rows` rows by so many trees; the job's scorings are numbered."""

    number: int
    rows: int
    trees: int
    depth: int

    @property
    def fits(self) -> bool:
        return (
            0 <= self.number < MOST_SCORINGS and self.rows > 0 and 0 < self.trees <= MOST_TREES and 0 < self.depth <= MOST_DEPTH
        )

    @property
    def shape(self) -> Shape:
        return Shape(self.trees, self.depth)

    @property
    def versions(self) -> int:
        """How often a row goes through the trees."""
        return 1

    def blocks(self) -> Iterator[tuple[int, slice]]:
        """The number and the rows of each block."""
        for block, low in enumerate(range(0, self.rows, BLOCK_ROWS)):
            yield block, slice(low, min(self.rows, low + BLOCK_ROWS))

    def masks(self, block: int, tree: int) -> int:
        """Under which the choice of this tree for this block of rows is masked: above every number of a training."""
        return _FIRST | self.number << 40 | block << _TREE_BITS | tree

    def label(self, block: int) -> Round:
        return Round(Kind.DEALT_TREES, _FIRST | self.number << _BLOCK_BITS | block)

    def arrays(self) -> Iterator[tuple[Round, tuple[int, ...]]]:
        """Label and shape of each array that either party is dealt for it."""
        for block, rows in self.blocks():
            size = rows.stop - rows.start
            yield self.label(block), (word_count(2 * self.trees * size),)


class ChoiceDemand(Protocol):
    """A demand for rows that go through trees: how what hides their choices is numbered."""

    @property
    def trees(self) -> int: ...

    @property
    def depth(self) -> int: ...

    @property
    def shape(self) -> Shape: ...

    def masks(self, block: int, tree: int) -> int:
        """Under which the choice of this tree for this block of rows is masked."""

    def label(self, block: int) -> Round:
        """Under which pads of a block are dealt."""


@dataclass(repr=False)
class _Growing:
    """The masks of one tree: of its candidates, of each node's vectors, by the party that hides them, and of histograms."""

    cells: dict[Party, Cells]
    nodes: dict[Party, Narrow]
    left: dict[Party, Narrow]
    sums: Narrow = field(default_factory=lambda: np.empty(0, np.uint32))
    added: Narrow = field(default_factory=lambda: np.empty(0, np.uint32))  # those of left children


class Growing:
    """The computation on masks, for one training."""

    def __init__(self, prg: Prgs, forest: Forest) -> None:
        self._prg, self._forest, self._labels = prg, forest, Labels(forest)
        self._masks = {party: TreeMasks(prg[party], forest) for party in Party}
        self._roots: tuple[int, dict[Party, Narrow]] | None = None  # of which trees side by side, by the first one's number

    def deal(self) -> Iterator[Dealt]:
        """Everything the training consumes, a tree after the other: see `dealt_arrays`."""
        for group in self._forest.groups():
            for tree in group:
                yield self._all_of(tree, self._tree(tree))

    def _root(self, tree: int) -> dict[Party, Narrow]:
        """What hides the root's vectors of a tree and of those beside it."""
        first = tree - tree % self._forest.abreast
        if self._roots is None or self._roots[0] != first:
            self._roots = first, {p: self._masks[p].nodes(first, 0) for p in Party}
        return self._roots[1]

    def _all_of(self, tree: int, every: Iterable[Dealt]) -> Dealt:
        found: dict[Party, list[Array]] = {p: [] for p in Party}
        for parts in every:
            for party, _, words in parts:
                found[party].append(words)
        return [(p, dealt_array(p, self._forest, tree)[0], np.concatenate(words)) for p, words in found.items() if words]

    def _tree(self, tree: int) -> Iterator[Dealt]:
        yield self._link(tree)
        root = self._root(tree)
        state = _Growing(self._cells(tree), root, root)
        for level in range(self._forest.shape.depth):
            yield from self._at_level(tree, level, self._lacking(level, state))
            yield self._moves(tree, level, state)
        yield from self._at_leaves(tree)
        yield self._choices(tree)

    def of_rows(self, tree: int) -> tuple[Dealt, list[Narrow]]:
        """What a line of several banks is dealt for a tree, and what left children's histograms lack at each level."""
        root = self._root(tree)
        state, lacking = _Growing(self._cells(tree), root, root), list[Narrow]()
        parts = [self._link(tree)]
        for level in range(self._forest.shape.depth):
            self._lacking(level, state)
            lacking.append(state.added)
            parts.append(self._moves(tree, level, state))
        parts.append(self._choices(tree))
        return self._all_of(tree, parts), lacking

    def of_sums(self, tree: int, lacking: list[Narrow]) -> Dealt:
        """What the grid and all banks as one party are dealt for it. lacking: of all lines together, as `of_rows` has it."""
        parts, found = list[Dealt](), np.empty(0, np.uint32)
        for level, left in enumerate(lacking):
            found = left if level == 0 else children(left, found)
            parts += self._at_level(tree, level, found)
        return self._all_of(tree, [*parts, *self._at_leaves(tree)])

    def _cells(self, tree: int) -> dict[Party, Cells]:
        drawn = self._forest.drawn(tree)
        return {p: self._masks[p].thresholds(drawn[p]) for p in Party}

    def _lacking(self, level: int, state: _Growing) -> Narrow:
        # U_P^T m of the left children, m being the other's mask; right children are what is missing
        state.added = np.concatenate([_histograms(state.cells[p], state.left[p.other]) for p in Party], axis=2)
        state.sums = state.added if level == 0 else children(state.added, state.sums)
        return state.sums

    def _at_level(self, tree: int, level: int, lacking: Narrow) -> Iterator[Dealt]:
        """What finds a level's split. lacking: of the histograms, (v, 2, C)."""
        forest, to = self._forest, self._forest.to(tree, level)
        yield self._moments(tree, level, lacking, to)
        yield deal_largest(self._prg, to, forest.number(tree, level), forest.looked_at)

    def _moves(self, tree: int, level: int, state: _Growing) -> Dealt:
        dealt: Dealt = [self._move(tree, level, p, state.nodes[p.other]) for p in Party]
        if level < self._forest.shape.depth - 1:
            state.left = {p: self._masks[p].nodes(tree, level + 1) for p in Party}
            state.nodes = {p: children(state.left[p], state.nodes[p]) for p in Party}
        return dealt

    def _at_leaves(self, tree: int) -> Iterator[Dealt]:
        """What gives the leaves' values."""
        to = self._forest.to(tree, self._forest.shape.depth)
        yield self._leaves(tree, to)
        if self._forest.monotone:
            yield self._order(tree, to)

    def _choices(self, tree: int) -> Dealt:
        label = self._labels.of(tree, self._forest.shape.depth, CHOICE)
        found = deal_choice(self._prg, tree, self._forest.rows, self._forest.shape)
        return [(p, label, as_words(dealt)) for p, dealt in found.items()]

    def _link(self, tree: int) -> Dealt:
        """Cosines of the angle that completes what the parties open to the grid, sines to the bank; of several trees once."""
        if tree % self._forest.abreast:
            return []
        angle = self._masks[Party.GRID].angle(tree) + self._masks[Party.BANK].angle(tree)
        tables, label = link_tables(self._forest.g_bits).dealt, self._labels.of(tree, 0, LINK)
        found = {p: tables[p.index].take(angle, 0) for p in Party}
        for party, values in found.items():
            values -= self._masks[party.other].link(tree)
        return [(p, label, as_words(found[p])) for p in Party]

    def _moments(self, tree: int, level: int, lacks: Narrow, to: Party) -> Dealt:
        masks = [self._masks[p].sums(tree, level) for p in Party]
        left = (lacks + masks[0][0] + masks[1][0]) & MASK
        total = (masks[0][1] + masks[1][1]) & MASK
        sides = both_sides(left, total)
        whole = moments(sides[:, :, 0], sides[:, :, 1], GAIN_TERMS, GAIN_TABLE, squares=True)
        dealt = whole - self._masks[to.other].moments(tree, level)
        return [(to, self._labels.of(tree, level, MOMENTS), dealt.ravel())]

    def _move(
        self, tree: int, level: int, to: Party, hidden: Narrow
    ) -> tuple[Party, Round, np.ndarray[tuple[int], np.dtype[np.uint64]]]:
        """What `to` needs if it splits this level: its branch's mask times the other's of the nodes, less a pad."""
        branch, last = self._masks[to].branch(tree, level), level == self._forest.shape.depth - 1
        moved = sums(branch, hidden) if last else branch * hidden
        dealt = moved - self._masks[to.other].move(tree, level)
        return to, self._labels.of(tree, level, MOVE), as_words(pack(dealt))

    def _order(self, tree: int, to: Party) -> Dealt:
        """For all levels: which of them are to be in order, the dealer does not know."""
        levels = range(self._forest.shape.depth)
        masks = {p: [OrderMasks(self._prg[p], self._forest, tree, level) for level in levels] for p in Party}
        pairs = zip(masks[Party.GRID], masks[Party.BANK], masks[to.other], strict=True)
        dealt = as_dealt([deal_order((grid, bank), other.dealt()) for grid, bank, other in pairs])
        return [(to, self._labels.of(tree, self._forest.shape.depth, ORDER), dealt)]

    def _leaves(self, tree: int, to: Party) -> Dealt:
        a = (self._masks[Party.GRID].leaves(tree) + self._masks[Party.BANK].leaves(tree)) & MASK
        whole = moments(a[:, 0], a[:, 1], LEAF_TERMS, LEAF_TABLE, squares=False)
        dealt = whole - self._masks[to.other].leaf_moments(tree)
        return [(to, self._labels.of(tree, self._forest.shape.depth, LEAVES), dealt.ravel())]


def _histograms(cells: np.ndarray[tuple[int, ...], np.dtype[np.float64]], vectors: Narrow) -> Narrow:
    """(v, 2, C) of vectors (v, 2, rows)."""
    found = product(cells, vectors.reshape(-1, vectors.shape[2]))
    return found.reshape(*vectors.shape[:2], len(cells))


def deal_choice(prg: Prgs, number: int, rows: int, shape: Shape) -> dict[Party, np.ndarray[tuple[int], np.dtype[np.uint16]]]:
    """The other's pad at each party's own masked choice, (rows,)."""
    masks = {p: ChoiceMasks(prg[p], number, rows, shape) for p in Party}
    return {p: masks[p.other].pads().reshape(-1).take(placed(masks[p].choice)) for p in Party}


def deal_tree_scores(prg: Prgs, demand: TreeScoreDemand) -> Iterator[Dealt]:
    """For each block of rows the pads of all trees. Raises PeerProtocolError for sizes that are not scored."""
    if not demand.fits:
        raise PeerProtocolError("the parties ask the dealer for a scoring of no size", got=demand)
    for block, rows in demand.blocks():
        yield deal_block(prg, demand, block, rows.stop - rows.start)


def deal_block(prg: Prgs, demand: ChoiceDemand, block: int, rows: int) -> Dealt:
    """The pads of all trees for one block of rows."""
    trees = [deal_choice(prg, demand.masks(block, tree), rows, demand.shape) for tree in range(demand.trees)]
    return [(p, demand.label(block), as_words(np.stack([tree[p] for tree in trees]))) for p in Party]

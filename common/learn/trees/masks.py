"""What one seed gives for growing trees, and the sizes of what is dealt. PROTOCOL.md section 14."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from common.learn.trees.forest import Forest, Index, Shape
from common.learn.trees.waves import GAIN_TERMS, LEAF_TERMS, TERMS, Half
from common.mpc.fixedpoint import Words
from common.mpc.largest.masks import dealt_words
from common.mpc.narrow import Bytes, Narrow, packed_size, signed, word_count
from common.mpc.prg import Prg, Purpose
from common.mpc.session import Kind, Round
from common.party import Party

Short = npt.NDArray[np.uint16]


@dataclass(frozen=True, repr=False)
class TreeMasks:
    """Expansions of one seed in a training."""

    prg: Prg
    forest: Forest

    def _narrow(self, purpose: Purpose, number: int, shape: tuple[int, ...]) -> Narrow:
        """Words modulo 2^22, the ten bits above left as they come: packing, products and what is opened cut them off."""
        return self.prg.half_words(purpose, number, int(np.prod(shape, dtype=np.int64))).reshape(shape)

    def threshold(self, k: int) -> Narrow:
        """U of one of the party's thresholds, (rows,): hides which rows lie at or below it."""
        return self._narrow(Purpose.TREE_MATRIX, k, (self.forest.rows,))

    def thresholds(self, numbers: Index) -> npt.NDArray[np.float64]:
        """The same of some, (numbers, rows), as the integers around zero that they stand for."""
        rows = self.forest.rows
        out = np.empty((len(numbers), rows))
        for row, k in zip(out, numbers.tolist(), strict=True):  # each while it is in the processor's cache
            row[:] = signed(self.prg.half_words(Purpose.TREE_MATRIX, k, rows))
        return out

    def angle(self, tree: int) -> Short:
        """This party's half of what hides u, (rows,)."""
        return self.prg.short_words(Purpose.TREE_ANGLE, tree, self.forest.rows)

    def link(self, tree: int) -> Half:
        """Its share of what the other party is dealt for the link, (rows, TERMS)."""
        return self.prg.half_words(Purpose.TREE_LINK, tree, self.forest.rows * TERMS).reshape(-1, TERMS)

    def nodes(self, tree: int, level: int) -> Narrow:
        """What hides its share of g and h in the left child of each node above, (v, 2, rows); at level 0 in the root."""
        return self._narrow(Purpose.TREE_NODES, self.forest.number(tree, level), (_lefts(level), 2, self.forest.rows))

    def sums(self, tree: int, level: int) -> tuple[Narrow, Narrow]:
        """What hides its share of histograms, (v, 2, C), and of totals, (v, 2)."""
        v, c = 1 << level, self.forest.looked_at
        flat = self._narrow(Purpose.TREE_SUMS, self.forest.number(tree, level), (2 * v * (c + 1),))
        return flat[: 2 * v * c].reshape(v, 2, c), flat[2 * v * c :].reshape(v, 2)

    def moments(self, tree: int, level: int) -> Words:
        """Its share of the gains' moments, if the other is dealt them, (2, v, C, 5, waves)."""
        shape = gain_shape(self.forest, level)
        found = self.prg.words(Purpose.TREE_MOMENTS, self.forest.number(tree, level), int(np.prod(shape)))
        return found.reshape(shape)

    def branch(self, tree: int, level: int) -> Narrow:
        """What hides on which side of its split each row is, (rows,)."""
        return self._narrow(Purpose.TREE_BRANCH, self.forest.number(tree, level), (self.forest.rows,))

    def move(self, tree: int, level: int) -> Narrow:
        """Its share of the left children where the other party splits, (v, 2, rows); at the last level of sums, (v, 2)."""
        last = level == self.forest.shape.depth - 1
        shape = (1 << level, 2) if last else (1 << level, 2, self.forest.rows)
        return self._narrow(Purpose.TREE_MOVE, self.forest.number(tree, level), shape)

    def leaves(self, tree: int) -> Narrow:
        """What hides its share of the leaves' sums, (leaves, 2)."""
        return self._narrow(Purpose.TREE_LEAVES, tree, (self.forest.shape.leaves, 2))

    def leaf_moments(self, tree: int) -> Words:
        """Its share of the leaves' moments, if the other is dealt them, (leaves, 3, waves)."""
        shape = leaf_shape(self.forest)
        return self.prg.words(Purpose.TREE_LEAF_MOMENTS, tree, int(np.prod(shape))).reshape(shape)


@dataclass(frozen=True, repr=False)
class ChoiceMasks:
    """Expansions of one seed for choosing a leaf for each row, in a training or a scoring, by a number of its own."""

    prg: Prg
    number: int
    rows: int
    shape: Shape

    @cached_property
    def choice(self) -> Bytes:
        """What hides a row's path on this party's levels, (rows,), `depth` bits."""
        return self.prg.bytes(Purpose.TREE_CHOICE, self.number, self.rows) & np.uint8(self.shape.leaves - 1)

    def pads(self) -> Short:
        """What hides each leaf from the other party but the one it chose, (leaves, rows)."""
        found = self.prg.short_words(Purpose.TREE_PADS, self.number, self.shape.leaves * self.rows)
        return found.reshape(self.shape.leaves, self.rows)

    @property
    def dealt(self) -> int:
        """Words dealt to either party: the other's pad at its own choice, 2 bytes a row."""
        return word_count(2 * self.rows)


def _lefts(level: int) -> int:
    return 1 << max(0, level - 1)


def gain_shape(forest: Forest, level: int) -> tuple[int, ...]:
    return 2, 1 << level, forest.looked_at, 5, 2 * GAIN_TERMS + 1


def leaf_shape(forest: Forest) -> tuple[int, ...]:
    return forest.shape.leaves, 3, 2 * LEAF_TERMS + 1


def link_words(forest: Forest) -> int:
    return word_count(4 * forest.rows * TERMS)


def moved_words(forest: Forest, level: int) -> int:
    """Words dealt to either party so that it could split this level."""
    values = 2 << level
    return word_count(packed_size(values if level == forest.shape.depth - 1 else values * forest.rows))


ORDER_BITS, ORDER_FACTORS, ORDER_MONOMIALS, ORDER_TABLE = 3, 4, 7, 32


def order_bytes(forest: Forest) -> int:
    """Bytes dealt for putting one level of a tree in order: three tables and 28 words of 16 bits for each pair of leaves."""
    return forest.shape.leaves // 2 * (ORDER_BITS * ORDER_TABLE + 2 * ORDER_FACTORS * ORDER_MONOMIALS)


def order_words(forest: Forest) -> int:
    """Words dealt for all levels of a tree, to one party."""
    return word_count(forest.shape.depth * order_bytes(forest))


STEPS = 8  # numbers of a level's parts
_OF_HUB = 1 << 40  # of several banks, arrays of a tree from this number on are of sums over all of them


@dataclass(frozen=True)
class Labels:
    """The labels of the parts of what is dealt: each part of a training has its own number."""

    forest: Forest

    def of(self, tree: int, level: int, step: int) -> Round:
        return Round(Kind.DEALT_TREES, self.forest.number(tree, level) * STEPS + step)


LINK, MOMENTS, MOVE, LEAVES, CHOICE, ORDER = range(6)


def dealt_parts(party: Party, forest: Forest, tree: int) -> Iterator[tuple[Round, int]]:
    """Label and number of words of each part of what a party is dealt for a tree, in the order of its use."""
    labels, depth = Labels(forest), forest.shape.depth
    if forest.of_rows and tree % forest.abreast == 0:
        yield labels.of(tree, 0, LINK), link_words(forest)
    for level in range(depth):
        if forest.of_sums and forest.to(tree, level) is party:
            yield labels.of(tree, level, MOMENTS), math.prod(gain_shape(forest, level))
            yield Round(Kind.DEALT_LARGEST, forest.number(tree, level)), dealt_words(forest.looked_at)
        if forest.of_rows:
            yield labels.of(tree, level, MOVE), moved_words(forest, level)
    if forest.of_sums and forest.to(tree, depth) is party:
        yield labels.of(tree, depth, LEAVES), math.prod(leaf_shape(forest))
        if forest.monotone:
            yield labels.of(tree, depth, ORDER), order_words(forest)
    if forest.of_rows:
        yield labels.of(tree, depth, CHOICE), word_count(2 * forest.rows)


def dealt_array(party: Party, forest: Forest, tree: int) -> tuple[Round, tuple[int, ...]]:
    """Label and shape of what a party is dealt for a tree: all parts in one array of words, as each message has its price."""
    number = tree if forest.of_rows else _OF_HUB | tree
    return Round(Kind.DEALT_TREES, number), (sum(words for _, words in dealt_parts(party, forest, tree)),)


def dealt_arrays(party: Party, forest: Forest) -> Iterator[tuple[Round, tuple[int, ...]]]:
    """The same of each tree of a training, in the order of their use."""
    for tree in range(forest.shape.trees):
        yield dealt_array(party, forest, tree)

"""What a training of boosted trees depends on, all of it public: sizes, scales, and which thresholds each tree looks at.

PROTOCOL.md section 14.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from common.mpc.narrow import BITS
from common.party import Party

U_BITS = 16  # of u modulo the period
PERIOD = 32
U_SCALE = 11  # fractional bits of u and of leaves: 2^16 steps are one period
LEVEL_BITS = 4  # of a number that tells the level of a tree

Index = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Shape:
    """What the use of a forest depends on, whatever it was trained on: how many symmetric trees of which depth."""

    trees: int
    depth: int

    @property
    def leaves(self) -> int:
        """Leaves of a tree."""
        return 1 << self.depth


@dataclass(frozen=True)
class Forest:
    """rows: that train. thresholds: of each party. rate: what a tree's leaves are multiplied by.

    ridge, leaf_ridge: what is added to the sum of h that a gradient's sum is divided by, for choosing a split and for the
    leaves; as shares of a quarter of `rows`, rounded up to a power of two.
    """

    rows: int
    thresholds: tuple[int, int]  # the grid's, the bank's
    shape: Shape
    rate: float
    candidates: int
    ridge: float
    leaf_ridge: float
    seed: int = 0
    abreast: int = 1  # trees grown side by side, from the same gradients
    monotone: bool = False  # whether leaves are put in order where an owner declared its column monotone

    @property
    def of_rows(self) -> bool:
        """Whether who grows it has rows: of several banks, each line."""
        return True

    @property
    def of_sums(self) -> bool:
        """Whether who grows it looks for splits and leaves: of several banks, the hub."""
        return True

    @property
    def scaled(self) -> int:
        """The rows that sums are over at most, by which all is scaled."""
        return self.rows

    def count(self, party: Party) -> int:
        return self.thresholds[party.index]

    @property
    def g_bits(self) -> int:
        """Fractional bits of a gradient: sums over any rows, at most a quarter of them, stay below 2^20."""
        return BITS - max(2, int(self.scaled - 1).bit_length())

    @property
    def h_bits(self) -> int:
        """Of a second derivative: sums, at most a quarter of the rows, stay below 2^21, half a turn of the inverse's waves."""
        return self.g_bits + 1

    @property
    def most_h(self) -> float:
        """The largest sum of h that fits: a quarter of the rows, rounded up to a power of two."""
        return float(2.0 ** (BITS - 1 - self.h_bits))

    @property
    def looked_at(self) -> int:
        """Candidates of a tree."""
        return min(self.candidates, sum(self.thresholds))

    def drawn(self, tree: int) -> dict[Party, Index]:
        """The candidates of this tree, by party: numbers among its thresholds, ascending. Public, the same everywhere."""
        grid = self.thresholds[0]
        found = _drawn(self.seed, tree, sum(self.thresholds), self.looked_at)
        return {Party.GRID: found[found < grid], Party.BANK: found[found >= grid] - grid}

    def groups(self, first: int = 0) -> list[range]:
        """The trees that are grown side by side, from `first` on, which begins such a group."""
        trees = self.shape.trees
        return [range(low, min(trees, low + self.abreast)) for low in range(first, trees, self.abreast)]

    def number(self, tree: int, level: int = 0) -> int:
        """Under which the masks of this level of this tree are expanded."""
        return tree << LEVEL_BITS | level

    def to(self, tree: int, level: int) -> Party:
        """The party that is dealt what either could be, so that both lines carry alike."""
        return Party.GRID if (tree + level) % 2 == 0 else Party.BANK


@dataclass(frozen=True)
class LineForest(Forest):
    """The same as one bank and the grid grow it on this bank's `rows`; sums are over the `total` rows of all banks."""

    total: int = 0

    @property
    def of_sums(self) -> bool:
        return False

    @property
    def scaled(self) -> int:
        return self.total


@dataclass(frozen=True)
class HubForest(Forest):
    """The same as the grid and all banks as one party look for splits and leaves, whatever bank a row is of."""

    @property
    def of_rows(self) -> bool:
        return False

    def to(self, tree: int, level: int) -> Party:
        """Always the grid: what the banks are dealt would be dealt to each of them."""
        return Party.GRID


@lru_cache(maxsize=64)
def _drawn(seed: int, tree: int, total: int, count: int) -> Index:
    """`count` of `total` numbers without replacement, each set alike, by the order of hashes."""
    label = f"wattscore.trees.1/{seed}/{tree}/{total}".encode()
    order = np.frombuffer(hashlib.shake_128(label).digest(8 * total), "<u8")
    return np.sort(np.argsort(order, kind="stable")[:count])


def children(left: npt.NDArray[np.uint32], parents: npt.NDArray[np.uint32]) -> npt.NDArray[np.uint32]:
    """The left and right child of each parent, (2 v, ...), from the left ones, (v, ...): right is what is missing.

    Modulo 2^32, which is a multiple of what they count by.
    """
    out: npt.NDArray[np.uint32] = np.empty((2 * len(parents), *parents.shape[1:]), np.uint32)
    out[0::2] = left
    np.subtract(parents, left, out=out[1::2])
    return out
